import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import { openTunedModel } from "../open-tuned-model.js";
import { generateOptions, samplingOptions, textAfter, type SamplingFlags } from "../sampling.js";

const help = `
The text is written as it is found, prompt included. Without --temperature, --top-k or --top-p the best token is taken every time.

Examples:
  graft generate runs/declarations "export interface "
  graft generate models/stories260k "Once upon a time" --max-tokens 200
  graft generate runs/shakespeare "ROMEO:" --temperature 0.8 --top-k 40 --seed 7`;

/** `graft generate DIR PROMPT` */
export function setUp(command: Command): void {
  samplingOptions(command).argument("<model>", "folder of a language model or of an adapter, or owner/name on the Hugging Face hub").argument("<prompt>", "text to go on from").addHelpText("after", help).action(generate);
}

async function generate(dir: string, prompt: string, flags: SamplingFlags): Promise<void> {
  const options = generateOptions(flags);
  const opened = await openTunedModel(dir);
  const { tokenizer } = opened;
  const own = tokenizer.encode(prompt);
  const ids = own.length > 1 && own.at(-1) === tokenizer.eosId ? own.slice(0, -1) : own; // a text that is closed would not be gone on with
  const start = ids.length > 0 ? ids : [tokenizer.bosId ?? tokenizer.eosId].filter((id) => id !== undefined);
  if (start.length === 0) throw new GraftError("argument", `generate: the prompt gives no token, and ${dir} has no token that begins a text. Give a prompt.`);
  process.stdout.write(tokenizer.decode(start, { skipSpecialTokens: true }));
  for await (const piece of textAfter(opened, start, options)) process.stdout.write(piece);
  process.stdout.write("\n");
}
