import { checkChoice, checkOptions, didYouMean, GraftError } from "../../base/index.js";
import { bytesPerElement, computeDType, decode, type Tensor } from "../../graph/index.js";
import type { tokenizers } from "../../data/index.js";
import { writeGguf, type GgufTensor, type GgufType, type GgufValue, type HostTensor } from "../../io/index.js";
import type { Module } from "../../nn/index.js";
import type { TextModel } from "../text/types.js";
import { checkPlain } from "../plain.js";
import { untiedState } from "../text/weights.js";
import { ggufArchitectures, ggufName, type Change } from "./names.js";
import { ggufSettings } from "./settings.js";
import { ggufTokenizer } from "./tokenizer.js";

/** Options of {@link exportGguf}. */
export interface ExportGgufOptions {
  /** How matrices are stored: `q8_0` takes 8.5 bits a weight, `q4_0` 4.5. Vectors stay f32, matrices whose rows are no multiple of 32 become f16. Default: "f16". */
  readonly type?: GgufType;
  /** The model's tokenizer. Without it the file holds the model only, and programs must be given token ids. */
  readonly tokenizer?: tokenizers.Tokenizer;
  /** Shown to users of the file. Default: the architecture. */
  readonly name?: string;
}

/** llama.cpp's numbers for what most of a file's weights are. */
const fileTypes: Readonly<Record<GgufType, number>> = { f32: 0, f16: 1, q4_0: 2, q8_0: 7, bf16: 32 };

/** The rows of each head [2, D/2] become [D/2, 2]. `x` has heads * D rows. */
function interleave(x: HostTensor, heads: number): HostTensor {
  const rows = x.shape[0];
  const width = x.data.length / rows;
  const [size, half] = [rows / heads, rows / heads / 2];
  const data = x.data.slice();
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < size; row++) {
      const from = head * size + (row % 2) * half + (row >> 1);
      data.set(x.data.subarray(from * width, (from + 1) * width), (head * size + row) * width);
    }
  }
  return { ...x, data };
}

function transpose({ dtype, shape: [rows, columns], data }: HostTensor): HostTensor {
  const turned = data.slice();
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j];
  return { dtype, shape: [columns, rows], data: turned };
}

function changed(x: HostTensor, change: Change, heads: number, keyHeads: number): HostTensor {
  switch (change) {
    case "none":
      return x;
    case "query":
      return interleave(x, heads);
    case "key":
      return interleave(x, keyHeads);
    case "transpose":
      return transpose(x);
    case "plusOne":
      return { dtype: "f32", shape: x.shape, data: Float32Array.from(x.data, (raw) => decode(x.dtype, raw) + 1) };
  }
}

/** What a weight is stored as, by its shape in the file. */
function storedAs(name: string, shape: readonly number[], type: GgufType): GgufType {
  if (shape.length < 2 || name === "position_embd.weight") return "f32";
  return (type === "q8_0" || type === "q4_0") && shape[shape.length - 1] % 32 !== 0 ? "f16" : type;
}

/** The weight as the file holds it; its values are read when it is written. */
function sourceOf(weight: Tensor, change: Change, heads: number, keyHeads: number): GgufTensor["source"] {
  const { shape } = weight;
  const dtype = change === "plusOne" ? computeDType("f32") : weight.dtype;
  return {
    dtype,
    shape: change === "transpose" ? [...shape].reverse() : shape,
    data: async () => changed({ dtype: weight.dtype, shape, data: await weight.data() }, change, heads, keyHeads).data,
  };
}

/**
 * Writes a text model as a GGUF file for llama.cpp and what is built on it: weights under llama.cpp's names and in its order, the settings and the tokenizer as
 * metadata. Written atomically. Llama, Mistral, Qwen 2 and 3, Gemma 2, Phi 3 and GPT-2. Returns the bytes that the weights take.
 *
 * Throws `config` for an architecture or setting that llama.cpp does not have, `format` for a tokenizer that it cannot do, `state` for one that does not fit the model
 * and for a model with adapters or layers in few bits,
 * `file` when the file cannot be written.
 * @example
 * const model = await models.load<LlamaForCausalLM>("runs/ada");
 * await models.exportGguf(model, "ada.gguf", { type: "q8_0", tokenizer: await data.tokenizers.Tokenizer.load("runs/ada") });
 */
export async function exportGguf(model: Module, file: string, options: ExportGgufOptions = {}): Promise<number> {
  checkOptions("exportGguf", options, ["type", "tokenizer", "name"]);
  const type = checkChoice("exportGguf", "type", options.type ?? "f16", ["f32", "f16", "bf16", "q8_0", "q4_0"]);
  checkPlain("exportGguf", model);
  const { config } = model as TextModel;
  const known = Object.keys(ggufArchitectures);
  const modelType = String((config as unknown as { readonly model_type?: string } | undefined)?.model_type ?? model.constructor.name);
  if (!Object.hasOwn(ggufArchitectures, modelType)) throw new GraftError("config", `exportGguf: ${modelType} cannot be written as GGUF.${didYouMean(modelType, known)} These can: ${known.join(", ")}.`);
  const architecture = ggufArchitectures[modelType];
  const { metadata: settings, tensors: extra, heads } = ggufSettings(architecture.name, config);

  const tensors = new Map<string, GgufTensor>();
  for (const [name, source] of extra) tensors.set(name, { source, type: "f32" });
  for (const [path, weight] of untiedState(model)) {
    const renamed = ggufName(architecture, path);
    if (renamed === undefined) throw new GraftError("state", `exportGguf: llama.cpp's ${architecture.name} has no weight like ${path}. Write it as safetensors instead.`);
    const source = sourceOf(weight, renamed.change, heads.heads, heads.keyHeads);
    tensors.set(renamed.name, { source, type: storedAs(renamed.name, source.shape, type) });
  }

  const metadata = new Map<string, GgufValue>([
    ["general.architecture", { type: "string", value: architecture.name }],
    ["general.name", { type: "string", value: options.name ?? modelType }],
    ["general.file_type", { type: "u32", value: fileTypes[type] }],
    ["general.quantization_version", { type: "u32", value: 2 }],
    ...settings,
  ]);
  const rows = (config as unknown as { readonly vocab_size: number }).vocab_size;
  const words = options.tokenizer === undefined ? new Map<string, GgufValue>([["tokenizer.ggml.model", { type: "string", value: "none" }]]) : ggufTokenizer(options.tokenizer, rows);
  await writeGguf(file, new Map([...metadata, ...words]), tensors);
  return [...tensors.values()].reduce((sum, { source, type: stored }) => sum + (source.shape.reduce((a, b) => a * b, 1) * bitsOf[stored]) / 8, 0);
}

const bitsOf: Readonly<Record<GgufType, number>> = { f32: 8 * bytesPerElement("f32"), f16: 16, bf16: 16, q8_0: 8.5, q4_0: 4.5 };
