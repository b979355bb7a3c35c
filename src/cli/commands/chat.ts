import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import { Conversation } from "../conversation.js";
import { Interrupted } from "../exit.js";
import { note } from "../output.js";
import { openTunedModel } from "../open-tuned-model.js";
import { generateOptions, samplingOptions, type SamplingFlags } from "../sampling.js";

interface Flags extends SamplingFlags {
  readonly system?: string;
  readonly template?: string;
  readonly showPrompt?: boolean;
}

const help = `
One line is one message; messages go through the chat template of the tokenizer, all of them each time. /reset forgets what was said; /exit, an empty line or
Ctrl-D ends the conversation. Ctrl-C ends an answer, and the conversation where none is being given.

Examples:
  graft chat runs/assistant
  graft chat runs/assistant --system "Answer briefly." --temperature 0.7
  echo "What is 2 + 2?" | graft chat runs/assistant
  graft chat runs/base --template plain`;

/** `graft chat DIR` */
export function setUp(command: Command): void {
  samplingOptions(command)
    .argument("<model>", "folder of a language model or of an adapter, or owner/name on the Hugging Face hub")
    .option("--system <text>", "what the model is told first")
    .option("--template <name|jinja>", "another chat template: chatml, plain, or Jinja source")
    .option("--show-prompt", "write what the template makes of the conversation to stderr")
    .addHelpText("after", help)
    .action(chat);
}

async function chat(dir: string, { system, template, showPrompt = false, ...flags }: Flags): Promise<void> {
  const generate = generateOptions(flags);
  const opened = await openTunedModel(dir);
  const tokenizer = template === undefined ? opened.tokenizer : await opened.tokenizer.withChatTemplate(template);
  if (tokenizer.chatTemplate === undefined) {
    throw new GraftError("config", `chat: ${dir} has no chat template, so it was not made for conversations. Say --template chatml or --template plain, put chat_template.jinja into the folder, or use graft generate.`);
  }
  const conversation = new Conversation({ model: opened.model, tokenizer }, {
    system, generate,
    onPrompt: (prompt) => showPrompt && note(prompt),
    onForgotten: (count) => note(`(too long for the model: its ${count} oldest messages are left out)`),
  });
  await talk(conversation, process.stdin.isTTY);
}

/** Reads lines and answers them until there are no more. Throws `Interrupted` when the user ends it by Ctrl-C. */
async function talk(conversation: Conversation, terminal: boolean): Promise<void> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  let answering: AbortController | undefined;
  let interrupted = false;
  const onInterrupt = (): void => {
    if (terminal && answering?.signal.aborted === false) return answering.abort();
    interrupted = true;
    answering?.abort();
    lines.close();
  };
  process.on("SIGINT", onInterrupt);
  const ask = (): void => void (terminal && process.stdout.write("> "));
  if (terminal) note("/reset forgets what was said; an empty line or /exit ends the conversation.");
  ask();
  try {
    for await (const line of lines) {
      const command = /^\/\w+$/.exec(line.trim())?.[0];
      if (line.trim() === "" || command === "/exit" || interrupted) break;
      if (command === "/reset") conversation.reset();
      else if (command !== undefined) note(`there is no command ${command}; there are /reset and /exit`);
      else {
        answering = new AbortController();
        await answer(conversation, line, answering.signal, terminal);
        answering = undefined;
      }
      if (interrupted) break;
      ask();
    }
  } finally {
    if (!interrupted) process.off("SIGINT", onInterrupt); // otherwise the command ends with 130, and a second Ctrl-C must not overtake it
    lines.close();
  }
  if (interrupted) throw new Interrupted();
}

/** Writes an answer as it comes. At a terminal a message that is too long is only told. */
async function answer(conversation: Conversation, line: string, signal: AbortSignal, terminal: boolean): Promise<void> {
  try {
    for await (const piece of conversation.answer(line, signal)) process.stdout.write(piece);
    process.stdout.write("\n");
  } catch (error) {
    if (!terminal || !(error instanceof GraftError)) throw error;
    note(error.message);
  }
}
