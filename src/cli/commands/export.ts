import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Option, type Command } from "commander";
import { GraftError } from "../../base/index.js";
import { tokenizers } from "../../data/index.js";
import { modelFolder, writeSafetensors, type GgufType } from "../../io/index.js";
import type { DType } from "../../graph/index.js";
import { exportGguf, exportOnnx, load } from "../../models/index.js";
import type { Module } from "../../nn/index.js";
import { allowCodeOption } from "../open-model.js";
import { numberFlag } from "../open-text-model.js";
import { grouped, note, print } from "../output.js";

interface Flags {
  readonly to: "safetensors" | "gguf" | "onnx";
  readonly type?: GgufType;
  readonly out?: string;
  readonly tokenizer: boolean;
  readonly batch?: string;
  readonly length?: string;
  readonly cache?: boolean;
  readonly externalData?: boolean;
  readonly allowCode?: boolean;
}

const help = `
gguf is for llama.cpp and what is built on it; llama, mistral, qwen2, qwen3, gemma2, phi3 and gpt2 can be written. q8_0 and q4_0 keep 8.5 and 4.5 bits a weight.
safetensors is the weights in one file, under Hugging Face's names.
onnx is for ONNX Runtime: weights and computation, for every model, text or image; batch size and length stay free unless --batch or --length fixes them.

Examples:
  graft export runs/ada --to gguf                    runs/ada/ada-f16.gguf
  graft export runs/ada --to gguf --type q8_0 --out ada.gguf
  graft export runs/ada --to safetensors --type f16 --out ada.safetensors
  graft export runs/digits --to onnx                 runs/digits/digits-f32.onnx
  graft export runs/ada --to onnx --type f16 --out ada.onnx
  graft export runs/ada --to onnx --cache --out runs/ada/onnx/model.onnx    for transformers.js`;

/** `graft export DIR --to FORMAT` */
export function setUp(command: Command): void {
  command
    .argument("<model>", "folder of a saved model, or owner/name on the hub")
    .addOption(new Option("--to <format>", "file format").choices(["safetensors", "gguf", "onnx"]).makeOptionMandatory())
    .addOption(new Option("--type <type>", "how weights are stored (default: f16 for gguf, f32 for safetensors and onnx)").choices(["f32", "f16", "bf16", "q8_0", "q4_0"]))
    .option("--out <file>", "file to write (default: MODEL/NAME-TYPE.FORMAT)")
    .option("--no-tokenizer", "leave the tokenizer out of a gguf file")
    .option("--batch <n>", "fix the number of samples of an onnx file (default: any)")
    .option("--length <n>", "fix the number of tokens of an onnx file (default: any)")
    .option("--cache", "keys and values of earlier tokens are inputs and outputs of an onnx file")
    .option("--external-data", "put the weights of an onnx file into a second file, FILE.data (default: only above 2 GiB)");
  allowCodeOption(command).addHelpText("after", help).action(exportModel);
}

async function exportModel(model: string, flags: Flags): Promise<void> {
  const { to, type = to === "gguf" ? "f16" : "f32", tokenizer: wanted, allowCode = false } = flags;
  const folder = await modelFolder(model);
  if (existsSync(join(folder, "adapter_config.json"))) throw new GraftError("config", `graft export: ${model} holds an adapter, not a model. Merge it first: graft merge ${model}, then export the folder that it names.`);
  const name = existsSync(model) ? basename(resolve(folder)) : basename(model.split("@")[0]);
  const file = flags.out ?? join(existsSync(model) ? folder : "runs", `${name}-${type}.${to}`); // the hub's cache is not ours to write to
  if (to !== "gguf" && (type === "q8_0" || type === "q4_0")) throw new GraftError("argument", `graft export: ${to} has no type ${type}. Use --type f32, f16 or bf16, or --to gguf.`);
  const loaded = await load(folder, { allowCode });
  switch (to) {
    case "gguf":
      return toGguf(loaded, folder, file, { type, name, wanted });
    case "onnx":
      return toOnnx(loaded.to(type as DType), file, name, flags);
    default: {
      loaded.to(type as DType);
      const seen = new Set<unknown>();
      await writeSafetensors(file, new Map([...loaded.stateDict()].filter(([, weight]) => !seen.has(weight) && seen.add(weight))), { metadata: { format: "pt" } }); // a shared weight once
      return report(file);
    }
  }
}

async function toGguf(model: Module, folder: string, file: string, { type, name, wanted }: { readonly type: GgufType; readonly name: string; readonly wanted: boolean }): Promise<void> {
  const found = wanted && existsSync(join(folder, "tokenizer.json"));
  if (wanted && !found) note(`${folder}: there is no tokenizer.json: the file will hold the model only.`);
  const tokenizer = found ? await tokenizers.Tokenizer.load(folder) : undefined;
  await exportGguf(model, file, { type, tokenizer, name });
  await report(file);
}

async function toOnnx(model: Module, file: string, name: string, { batch, length, cache, externalData }: Flags): Promise<void> {
  const { files, inputs, outputs } = await exportOnnx(model, file, { name, cache, externalData, batch: numberFlag("--batch", batch), length: numberFlag("--length", length) });
  for (const written of files) await report(written);
  for (const [word, values] of [["takes", inputs], ["gives", outputs]] as const) for (const { name: value, type, shape } of values) print(`  ${word} ${value} ${type} [${shape.join(", ")}]`);
}

async function report(file: string): Promise<void> {
  print(`${file}: ${grouped((await stat(file)).size)} bytes`);
}
