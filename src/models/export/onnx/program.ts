import { GraftError } from "../../../base/index.js";
import { showShape, Tensor } from "../../../graph/index.js";
import type { Module } from "../../../nn/index.js";
import { isHuggingFace } from "../../text/hugging-face.js";
import { isCausal, type TextModel } from "../../text/types.js";
import { GivenCache, pastShape } from "./past.js";
import type { GraphInput, Program } from "./record.js";
import { plus, type Axis, type Size } from "./size.js";

/** What of the inputs is fixed. */
export interface ProgramOptions {
  /** Shape of one input, without the batch: for models whose config does not tell. */
  readonly inputShape?: readonly number[];
  readonly batch?: number;
  readonly length?: number;
  /** Keys and values of earlier tokens are inputs, those of all tokens outputs. */
  readonly cache?: boolean;
}

const isPrime = (n: number): boolean => n > 1 && Array.from({ length: Math.floor(Math.sqrt(n)) - 1 }, (_, i) => i + 2).every((d) => n % d !== 0);

/** Below this many queries attention is recorded as other ops (see `scaledDotProductAttention`): the sizes lie on one side of it. */
const few = 8;

/**
 * Three sizes above `least` and up to `limit`: primes where there are three (sizes that are dims of the model by chance would record other ops), else the largest,
 * or the smallest.
 */
function probes(name: string, least: number, limit: number): Axis {
  const range = Array.from({ length: Math.min(limit, least + 200) - least }, (_, i) => least + 1 + i).filter((n) => n > 1);
  const many = range.filter((n) => n >= few);
  const primes = many.filter(isPrime).slice(-3);
  const [low, probe, high] = primes.length === 3 ? primes : many.length >= 3 ? many.slice(-3) : range;
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

/** Sequence lengths to record at, so that what is recorded holds for all others. */
function lengthAxis(model: TextModel, causal: boolean): Axis {
  const { sliding_window: window, max_position_embeddings: most, pad_token_id: padding } = model.config;
  const { maxPositions } = model as { readonly maxPositions?: number };
  const rows = causal ? maxPositions : typeof most === "number" ? most - (typeof padding === "number" ? padding + 1 : 0) : undefined; // RoBERTa leaves rows for padding unused
  const limit = rows ?? Infinity;
  // Above the window its mask is part of the graph, and right for shorter sequences too; below it would be left out.
  return probes("sequence_length", typeof window === "number" && window < limit - 8 ? window : 0, limit);
}

/** A text model: token ids and a mask in, logits out, under Hugging Face's names; with `cache` also positions, and keys and values in and out. */
function textProgram(model: TextModel, { batch, length, cache = false }: ProgramOptions): Program {
  const causal = isCausal(model);
  const past = cache ? pastShape(model) : undefined;
  const { axes, dims } = axesOf([[batchAxis, batch], [() => lengthAxis(model, causal), length], [() => probes("past_sequence_length", 200, Infinity), past === undefined ? 0 : undefined]]);
  const [B, T, P] = dims;
  const { type_vocab_size: segments } = model.config;
  const hasSegments = !causal && typeof segments === "number" && segments > 1;
  const ids = (name: string, size: Size): GraphInput => ({ name, shape: [B, size], dtype: "i32" });
  const keys = past === undefined ? [] : Array.from({ length: past.layers }, (_, i) => ["key", "value"].map((kind) => `${i}.${kind}`)).flat();
  const inputs: GraphInput[] = [
    ids("input_ids", T),
    ids("attention_mask", plus(P, T)),
    ...(hasSegments ? [ids("token_type_ids", T)] : []),
    ...(past === undefined ? [] : [ids("position_ids", T), ...keys.map((key): GraphInput => ({ name: `past_key_values.${key}`, shape: [B, past.heads, P, past.headDim], dtype: "f32" }))]),
  ];
  const run = (inputIds: Tensor, attentionMask: Tensor, ...rest: readonly Tensor[]): readonly Tensor[] => {
    if (past === undefined) return [model.forward(inputIds, { attentionMask, ...(hasSegments ? { tokenTypeIds: rest[0] } : {}) }).logits];
    const [positionIds, ...given] = rest;
    const own = new GivenCache(past, given, inputIds.shape[1]);
    const { logits } = model.forward(inputIds, { attentionMask, positionIds, cache: own });
    return [logits, ...own.present];
  };
  return { model, inputs, axes, outputs: ["logits", ...keys.map((key) => `present.${key}`)], run: run as Program["run"] };
}

/** A model of one input: images as `pixel_values`, anything else as `input`. */
function plainProgram(model: Module, { inputShape, batch, length, cache }: ProgramOptions): Program {
  const name = model.constructor.name;
  const shape = inputShape ?? (model as { readonly config?: { readonly input_shape?: readonly number[] } }).config?.input_shape;
  if (length !== undefined || cache === true) throw new GraftError("argument", `exportOnnx: ${name} takes no sequences of tokens. Leave length and cache out.`);
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
