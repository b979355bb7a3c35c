import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Option, type Command } from "commander";
import { GraftError } from "../../base/index.js";
import { tokenizers } from "../../data/index.js";
import { writeSafetensors, type GgufType } from "../../io/index.js";
import { exportGguf, load } from "../../models/index.js";
import { grouped, note, print } from "../output.js";

interface Flags {
  readonly to: "safetensors" | "gguf";
  readonly type?: GgufType;
  readonly out?: string;
  readonly tokenizer: boolean;
}

const help = `
gguf is for llama.cpp and what is built on it; llama, mistral, qwen2, qwen3, gemma2, phi3 and gpt2 can be written. q8_0 and q4_0 keep 8.5 and 4.5 bits a weight.
safetensors is the weights in one file, under Hugging Face's names.

Examples:
  graft export runs/ada --to gguf                    runs/ada/ada-f16.gguf
  graft export runs/ada --to gguf --type q8_0 --out ada.gguf
  graft export runs/ada --to safetensors --type f16 --out ada.safetensors`;

/** `graft export DIR --to FORMAT` */
export function setUp(command: Command): void {
  command
    .argument("<model>", "folder of a saved model")
    .addOption(new Option("--to <format>", "file format").choices(["safetensors", "gguf"]).makeOptionMandatory())
    .addOption(new Option("--type <type>", "how weights are stored (default: f16 for gguf, f32 for safetensors)").choices(["f32", "f16", "bf16", "q8_0", "q4_0"]))
    .option("--out <file>", "file to write (default: MODEL/NAME-TYPE.FORMAT)")
    .option("--no-tokenizer", "leave the tokenizer out of a gguf file")
    .addHelpText("after", help)
    .action(exportModel);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function exportModel(path: string, { to, type = to === "gguf" ? "f16" : "f32", out, tokenizer: wanted }: Flags): Promise<void> {
  const name = basename(resolve(path));
  const file = out ?? join(path, `${name}-${type}.${to}`);
  if (to === "safetensors") {
    if (type === "q8_0" || type === "q4_0") throw new GraftError("argument", `graft export: safetensors has no type ${type}. Use --type f32, f16 or bf16, or --to gguf.`);
    const model = await load(path);
    model.to(type);
    const seen = new Set<unknown>();
    await writeSafetensors(file, new Map([...model.stateDict()].filter(([, weight]) => !seen.has(weight) && seen.add(weight))), { metadata: { format: "pt" } }); // a shared weight once
  } else {
    const model = await load(path);
    const found = wanted && (await exists(join(path, "tokenizer.json")));
    if (wanted && !found) note(`${path}: there is no tokenizer.json: the file will hold the model only.`);
    const tokenizer = found ? await tokenizers.Tokenizer.load(path) : undefined;
    await exportGguf(model, file, { type, tokenizer, name });
  }
  print(`${file}: ${grouped((await stat(file)).size)} bytes`);
}
