import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import type { tokenizers } from "../../data/index.js";
import { note } from "../output.js";
import { openTunedModel } from "../open-tuned-model.js";
import { generateOptions, samplingOptions, textAfter, type SamplingFlags } from "../sampling.js";

interface Flags extends SamplingFlags {
  readonly system?: string;
  readonly template?: string;
}

const help = `
One line is one message; an empty line or Ctrl-D ends the conversation. Messages go through the chat template of the tokenizer.

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
    .addHelpText("after", help)
    .action(chat);
}

async function chat(dir: string, { system, template, ...flags }: Flags): Promise<void> {
  const options = generateOptions(flags);
  const { model, tokenizer: own } = await openTunedModel(dir);
  const tokenizer = template === undefined ? own : await own.withChatTemplate(template);
  if (tokenizer.chatTemplate === undefined) {
    throw new GraftError("config", `chat: ${dir} has no chat template, so it was not made for conversations. Say --template chatml or --template plain, put chat_template.jinja into the folder, or use graft generate.`);
  }
  const messages: tokenizers.Message[] = system === undefined ? [] : [{ role: "system", content: system }];
  const lines = createInterface({ input: process.stdin, terminal: false });
  const ask = (): void => void (process.stdin.isTTY && process.stdout.write("> "));
  if (process.stdin.isTTY) note("An empty line ends the conversation.");
  ask();
  for await (const line of lines) {
    if (line.trim() === "") break;
    messages.push({ role: "user", content: line });
    const prompt = tokenizer.encode(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), { addSpecialTokens: false });
    let answer = "";
    for await (const piece of textAfter({ model, tokenizer }, prompt, options)) {
      process.stdout.write(answer === "" ? piece.trimStart() : piece);
      answer += piece;
    }
    process.stdout.write("\n");
    messages.push({ role: "assistant", content: answer.trim() });
    ask();
  }
  lines.close();
}
