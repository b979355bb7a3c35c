import { checkChoice, checkNumber, checkOptions, GraftError } from "../../base/index.js";
import type { Message, Tokenizer } from "../tokenizers/index.js";
import type { Example } from "./examples.js";

/** Labels of this value cost nothing. */
export const ignoredLabel = -100;

/** A sample for causal language models: token ids, and for each the label that it is compared with (the id itself, or -100). */
export interface TokenSample {
  readonly inputIds: Int32Array;
  /** Not shifted: a model compares the logits at i with the label at i + 1. */
  readonly labels: Int32Array;
}

/** Options of {@link encodeExample}. */
export interface EncodeExampleOptions {
  /** Tokens at most. Default: no limit. */
  readonly maxLength?: number;
  /** What happens to longer samples: `error`, `truncate` (their end is cut off) or `skip`. Default `error`. */
  readonly overLong?: "error" | "truncate" | "skip";
  /** What the loss counts: the assistant's turns or the completion, only the last of them, or all. Default `completions`. */
  readonly trainOn?: "completions" | "last" | "all";
}

const names = ["maxLength", "overLong", "trainOn"] as const;

/**
 * An example as token ids with a label for each; undefined where it is too long and `overLong` is `skip`. Prompts have the label -100, so that only what the
 * assistant says is learnt. Conversations go through the tokenizer's chat template; prompt and completion are joined and closed by the `eos` token.
 *
 * Throws `config` when a chat template is needed and missing, `format`, with file and line, for a sample that is too long, has nothing to learn, or whose
 * template shows earlier turns otherwise once later ones follow; `argument` for preference pairs (see `encodePreference`).
 *
 * @example
 * const sample = encodeExample({ kind: "completion", prompt: "2 + 2 =", completion: " 4", place: "here" }, tokenizer);
 */
export function encodeExample(example: Example, tokenizer: Tokenizer, options: EncodeExampleOptions = {}): TokenSample | undefined {
  checkOptions("encodeExample", options, names);
  if (example.kind === "preference") throw new GraftError("argument", `${example.place}: is a preference pair. Use encodePreference, or data of another form.`);
  return finish(spansOf(example, tokenizer, options.trainOn), example.place, options);
}

/** A preference pair as two samples, with the prompt's labels -100 in both. Throws as `encodeExample`. */
export function encodePreference(
  example: Extract<Example, { kind: "preference" }>,
  tokenizer: Tokenizer,
  options: Omit<EncodeExampleOptions, "trainOn"> = {},
): { readonly chosen: TokenSample; readonly rejected: TokenSample } | undefined {
  checkOptions("encodePreference", options, ["maxLength", "overLong"]);
  const { prompt, place } = example;
  const side = (answer: readonly Message[] | string): TokenSample | undefined => {
    if (typeof prompt === "string" && typeof answer === "string") return finish(spansOf({ kind: "completion", prompt, completion: answer, place }, tokenizer), place, options);
    const before = typeof prompt === "string" ? (prompt === "" ? [] : [{ role: "user", content: prompt }]) : prompt;
    const after = typeof answer === "string" ? [{ role: "assistant", content: answer }] : answer;
    const repeats = before.length > 0 && after.length > before.length && JSON.stringify(after.slice(0, before.length)) === JSON.stringify(before);
    return finish(spansOf({ kind: "chat", messages: repeats ? after : [...before, ...after], place }, tokenizer, "last"), place, options);
  };
  const [chosen, rejected] = [side(example.chosen), side(example.rejected)];
  return chosen === undefined || rejected === undefined ? undefined : { chosen, rejected };
}

/** Token ids, and the ranges of them that are learnt. */
interface Spans {
  readonly ids: readonly number[];
  readonly learnt: readonly (readonly [number, number])[];
}

function spansOf(example: Exclude<Example, { kind: "preference" }>, tokenizer: Tokenizer, trainOn: EncodeExampleOptions["trainOn"] = "completions"): Spans {
  checkChoice("encodeExample", "trainOn", trainOn, ["completions", "last", "all"]);
  if (example.kind === "chat") return chatSpans(example, tokenizer, trainOn);
  const end = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
  // An `eos` that the tokenizer itself puts there is not doubled.
  const close = (ids: readonly number[]): number[] => [...ids, ...(ids.at(-1) === end[0] ? [] : end)];
  if (example.kind === "text") {
    const ids = close(tokenizer.encode(example.text));
    return { ids, learnt: [[0, ids.length]] };
  }
  const ids = close(tokenizer.encode(example.prompt + example.completion));
  const start = trainOn === "all" ? 0 : common(ids, tokenizer.encode(example.prompt));
  return { ids, learnt: [[start, ids.length]] };
}

/** How many tokens two lists have in common from their start: a token that reaches from prompt into completion counts to the completion. */
function common(a: readonly number[], b: readonly number[]): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  return i;
}

function chatSpans({ messages, tools, place }: Extract<Example, { kind: "chat" }>, tokenizer: Tokenizer, trainOn: "completions" | "last" | "all"): Spans {
  const render = (count: number, addGenerationPrompt: boolean): string => {
    try {
      return tokenizer.applyChatTemplate(messages.slice(0, count), { addGenerationPrompt, ...(tools === undefined ? {} : { tools }) });
    } catch (cause) {
      if (cause instanceof GraftError && cause.code === "format") throw new GraftError("format", `${place}: ${cause.message}`, { cause });
      throw cause;
    }
  };
  const encode = (text: string): number[] => tokenizer.encode(text, { addSpecialTokens: false });
  const whole = render(messages.length, false);
  const ids = encode(whole);
  if (trainOn === "all") return { ids, learnt: [[0, ids.length]] };
  const answers = messages.flatMap(({ role }, i) => (role === "assistant" ? [i] : []));
  if (answers.length === 0) throw new GraftError("format", `${place}: has no turn of the assistant, so there is nothing to learn. Add one, or train on all.`);
  const learnt = (trainOn === "last" ? answers.slice(-1) : answers).map((i): readonly [number, number] => {
    const place_ = (text: string): number => {
      if (whole.startsWith(text)) return text.length === whole.length ? ids.length : common(ids, encode(text));
      throw new GraftError("format", `${place}: the chat template shows the turns before turn ${i} otherwise once later ones follow, so they cannot be told apart. Train on "last" or "all".`);
    };
    const before = i === 0 ? 0 : startOf(i);
    return [before, i === messages.length - 1 ? ids.length : place_(render(i + 1, false))];

    function startOf(turn: number): number {
      const prompt = render(turn, true);
      return whole.startsWith(prompt) ? place_(prompt) : place_(render(turn, false)); // a template without words that start a turn
    }
  });
  return { ids, learnt };
}

function finish({ ids, learnt }: Spans, place: string, { maxLength = Infinity, overLong = "error" }: EncodeExampleOptions): TokenSample | undefined {
  checkNumber("encodeExample", "maxLength", maxLength, { min: 2 });
  checkChoice("encodeExample", "overLong", overLong, ["error", "truncate", "skip"]);
  if (ids.length > maxLength && overLong !== "truncate") {
    if (overLong === "skip") return undefined;
    throw new GraftError("format", `${place}: the sample has ${ids.length} tokens, the limit is ${maxLength}. Shorten it, raise maxLength (--max-length), or set overLong (--over-long) to "truncate" or "skip".`);
  }
  const inputIds = Int32Array.from(ids.slice(0, Math.min(ids.length, maxLength)));
  const labels = new Int32Array(inputIds.length).fill(ignoredLabel);
  for (const [from, to] of learnt) for (let i = from; i < Math.min(to, labels.length); i++) labels[i] = inputIds[i];
  if (!labels.subarray(1).some((label) => label !== ignoredLabel)) {
    if (overLong === "skip" || (overLong === "truncate" && ids.length > maxLength)) return undefined; // the prompt alone fills it
    throw new GraftError("format", `${place}: has no token to learn. Check that the completion is not empty.`);
  }
  return { inputIds, labels };
}
