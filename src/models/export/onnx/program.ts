import { GraftError } from "../../../base/index.js";
import { showShape, Tensor } from "../../../graph/index.js";
import type { Module } from "../../../nn/index.js";
import { isHuggingFace } from "../../text/hugging-face.js";
import type { TextModel } from "../../text/types.js";
import type { GraphInput, Program } from "./record.js";
import type { Axis, Size } from "./size.js";

/** What of the inputs is fixed. */
export interface ProgramOptions {
  /** Shape of one input, without the batch: for models whose config does not tell. */
  readonly inputShape?: readonly number[];
  readonly batch?: number;
  readonly length?: number;
}

const isPrime = (n: number): boolean => n > 1 && Array.from({ length: Math.floor(Math.sqrt(n)) - 1 }, (_, i) => i + 2).every((d) => n % d !== 0);

/** Three sizes above `least` and up to `limit`, primes where there are three: sizes that are dims of the model by chance would record other ops. */
function probes(name: string, least: number, limit: number): Axis {
  const range = Array.from({ length: Math.min(limit, least + 200) - least }, (_, i) => least + 1 + i).filter((n) => n > 1);
  const primes = range.filter(isPrime);
  const [low, probe, high] = (primes.length < 3 ? range : primes).slice(-3);
  if (high === undefined) throw new GraftError("config", `exportOnnx: the model has positions for ${limit} tokens, too few to find out how its graph depends on the length. Pass { length: ${limit} }.`);
  return { name, low, probe, high };
}

/** The axes, and each as a size. */
function axesOf(sizes: readonly (readonly [axis: () => Axis, fixed: number | undefined])[]): { readonly axes: Axis[]; readonly dims: Size[] } {
  const axes = sizes.flatMap(([axis, fixed]) => (fixed === undefined ? [axis()] : []));
  let next = 0;
  const dims = sizes.map(([, fixed]): Size => {
    if (fixed !== undefined) return fixed;
    const own = 1 << next++;
    return { terms: Array.from({ length: 1 << axes.length }, (_, m) => (m === own ? 1 : 0)) };
  });
  return { axes, dims };
}

const batchAxis = (): Axis => probes("batch_size", 60, Infinity);

/** A text model: token ids and a mask in, logits out, under Hugging Face's names. */
function textProgram(model: TextModel, { batch, length }: ProgramOptions): Program {
  const { sliding_window: window, max_position_embeddings: most, pad_token_id: padding, type_vocab_size: segments } = model.config;
  const { maxPositions } = model as { readonly maxPositions?: number };
  const causal = typeof (model as { newCache?: unknown }).newCache === "function";
  const rows = causal ? maxPositions : typeof most === "number" ? most - (typeof padding === "number" ? padding + 1 : 0) : undefined; // RoBERTa leaves rows for padding unused
  const limit = rows ?? Infinity;
  // Above the window its mask is part of the graph, and right for shorter sequences too; below it would be left out.
  const least = typeof window === "number" && window < limit - 8 ? window : 0;
  const { axes, dims } = axesOf([[batchAxis, batch], [() => probes("sequence_length", least, limit), length]]);
  const inputs: GraphInput[] = ["input_ids", "attention_mask", ...(!causal && typeof segments === "number" && segments > 1 ? ["token_type_ids"] : [])].map((name) => ({ name, shape: dims, dtype: "i32" }));
  const run = (inputIds: Tensor, attentionMask: Tensor, tokenTypeIds?: Tensor): readonly Tensor[] => [
    model.forward(inputIds, { attentionMask, ...(tokenTypeIds === undefined ? {} : { tokenTypeIds }) }).logits,
  ];
  return { model, inputs, axes, outputs: ["logits"], run: run as Program["run"] };
}

/** A model of one input: images as `pixel_values`, anything else as `input`. */
function plainProgram(model: Module, { inputShape, batch, length }: ProgramOptions): Program {
  const name = model.constructor.name;
  const shape = inputShape ?? (model as { readonly config?: { readonly input_shape?: readonly number[] } }).config?.input_shape;
  if (length !== undefined) throw new GraftError("argument", `exportOnnx: ${name} takes no sequences. Leave length out.`);
  if (shape === undefined) throw new GraftError("argument", `exportOnnx: ${name} does not say what it takes. Pass the shape of one input: { inputShape: [1, 28, 28] }.`);
  if (!shape.every((size) => Number.isInteger(size) && size >= 1)) throw new GraftError("shape", `exportOnnx: inputShape is ${showShape(shape)}. Use whole numbers of 1 or more, without the batch.`);
  const { axes, dims } = axesOf([[batchAxis, batch]]);
  const run = (x: Tensor): readonly Tensor[] => {
    const output = (model as unknown as { forward(x: Tensor): unknown }).forward(x);
    if (!(output instanceof Tensor)) throw new GraftError("config", `exportOnnx: ${name} gives ${String(output)}. Its forward must take one tensor and return one.`);
    return [output];
  };
  return { model, inputs: [{ name: shape.length === 3 ? "pixel_values" : "input", shape: [...dims, ...shape], dtype: "f32" }], axes, outputs: ["logits"], run: run as Program["run"] };
}

/** How a model is run in the file. Throws `argument` where its input is not known, `shape` for one that makes no sense. */
export function programOf(model: Module, options: ProgramOptions): Program {
  const { config } = model as { readonly config?: Parameters<typeof isHuggingFace>[0] };
  return typeof config === "object" && config !== null && isHuggingFace(config) ? textProgram(model as TextModel, options) : plainProgram(model, options);
}
