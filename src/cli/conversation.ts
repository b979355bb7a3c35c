import { GraftError } from "../base/index.js";
import type { tokenizers } from "../data/index.js";
import { contextLength, endTokens, type GenerateOptions } from "../models/index.js";
import type { TextModelFolder } from "./open-text-model.js";
import { textAfter } from "./sampling.js";

/** Options of {@link Conversation}. */
export interface ConversationOptions {
  /** What the model is told first. */
  readonly system?: string;
  readonly generate: GenerateOptions;
  /** Called with what the template makes of the conversation, before each answer. */
  readonly onPrompt?: (prompt: string) => void;
  /** Called when so many of the oldest messages had to be left out. */
  readonly onForgotten?: (messages: number) => void;
}

/** Messages that go through a tokenizer's chat template and are answered by a model. */
export class Conversation {
  messages: tokenizers.Message[] = [];
  private readonly end: string;

  constructor(
    private readonly folder: TextModelFolder,
    private readonly options: ConversationOptions,
  ) {
    this.reset();
    this.end = endOfTurn(folder.tokenizer);
  }

  /** Forgets what was said. */
  reset(): void {
    const { system } = this.options;
    this.messages = system === undefined ? [] : [{ role: "system", content: system }];
  }

  /** The answer to a message, in pieces as they come. What was said until `signal` ends it is remembered. Throws `argument` for a message that alone is too long; it is then not remembered. */
  async *answer(text: string, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
    this.messages.push({ role: "user", content: text });
    const prompt = this.prompt();
    let [answer, shown] = ["", ""];
    for await (const piece of textAfter(this.folder, prompt, { ...this.options.generate, eosTokenId: this.endIds(), signal })) {
      answer += answer === "" ? piece.trimStart() : piece;
      const stop = this.end === "" ? -1 : answer.indexOf(this.end);
      if (stop >= 0) answer = answer.slice(0, stop);
      const sure = stop >= 0 ? answer : withoutBeginningOf(this.end, answer);
      if (sure.length > shown.length) yield sure.slice(shown.length);
      shown = sure;
      if (stop >= 0) break;
    }
    if (answer.length > shown.length) yield answer.slice(shown.length);
    this.messages.push({ role: "assistant", content: answer.trim() });
  }

  /** Tokens of the conversation; the oldest messages but the system's are left out while it is too long for the model. */
  private prompt(): number[] {
    const { folder: { model, tokenizer }, options } = this;
    const room = contextLength(model) ?? Infinity;
    const first = this.messages[0].role === "system" ? 1 : 0;
    let kept = this.messages;
    for (let forgotten = 0; ; forgotten += 2) {
      const text = tokenizer.applyChatTemplate(kept, { addGenerationPrompt: true });
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      if (ids.length < room) {
        this.messages = kept;
        if (forgotten > 0) options.onForgotten?.(forgotten);
        options.onPrompt?.(text);
        return ids;
      }
      if (kept.length - first < 3) {
        this.messages.pop();
        throw new GraftError("argument", `chat: the message gives ${ids.length} tokens, the model has room for ${room} with its answer. Write a shorter one.`);
      }
      kept = [...kept.slice(0, first), ...kept.slice(first + 2)];
    }
  }

  /** Tokens that end an answer: the model's, the tokenizer's and the template's. */
  private endIds(): number[] {
    const { model, tokenizer } = this.folder;
    return [...new Set([...endTokens(model), tokenizer.eosId, tokenizer.tokenToId(this.end)].filter((id) => id !== undefined))];
  }
}

/** What a chat template puts behind an answer; "" where that is white space only. */
function endOfTurn(tokenizer: tokenizers.Tokenizer): string {
  const mark = "GRAFT-ANSWER";
  try {
    const text = tokenizer.applyChatTemplate([{ role: "user", content: "?" }, { role: "assistant", content: mark }]);
    return text.slice(text.lastIndexOf(mark) + mark.length).trim().split(/\s/)[0];
  } catch {
    return ""; // a template that wants more than that
  }
}

/** A text without an end that may become `word`. */
function withoutBeginningOf(word: string, text: string): string {
  for (let length = Math.min(word.length, text.length); length > 0; length--) if (text.endsWith(word.slice(0, length))) return text.slice(0, -length);
  return text;
}
