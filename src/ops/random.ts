import { checkOptions, GraftError } from "../base/index.js";
import { checkShape, defineOp, fromData, record, sizeOf, type DType, type RefArray, type Shape, type Tensor } from "../graph/index.js";
import type { CreateOptions } from "./source.js";
import { add, cast, floor, mul } from "./scalar.js";
import { currentTrace } from "./trace.js";

/** Where the next random op takes its numbers from: `stream` counts ops. Both are saved in checkpoints. */
export interface RandomState {
  readonly seed: number;
  readonly stream: number;
}

let seed = 0;
let stream = 0;

/** Seeds everything random that is recorded from now on (a whole number from 0 to 2^53 - 1). The default seed is 0. */
export function manualSeed(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new GraftError("argument", `manualSeed: ${value} is not a whole number from 0 to 2^53 - 1.`);
  seed = value;
  stream = 0;
}

/** The state of the generator, to be saved with a run and given to {@link setRandomState} later. */
export const getRandomState = (): RandomState => ({ seed, stream });
/** Goes on with the random numbers that would have followed {@link getRandomState}. */
export function setRandomState(state: RandomState): void {
  seed = state.seed;
  stream = state.stream;
}

const high = (n: number): number => Math.floor(n / 4294967296);

/** High and low 32 bits of a * b for unsigned 32-bit values. */
function multiply(a: number, b: number): [number, number] {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const cross = a0 * b1 + (middle & 0xffff);
  return [(a1 * b1 + Math.floor(middle / 65536) + Math.floor(cross / 65536)) >>> 0, Math.imul(a, b) >>> 0];
}

/**
 * Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): ten rounds that turn a counter and a key into four
 * random words, so that every element can be computed on its own.
 */
export function philox(counter: readonly [number, number, number, number], key: readonly [number, number]): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [h0, l0] = multiply(0xd2511f53, c0);
    const [h1, l1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(h1 ^ c1 ^ k0) >>> 0, l1, (h0 ^ c3 ^ k1) >>> 0, l0];
    k0 = (k0 + 0x9e3779b9) >>> 0; // golden ratio
    k1 = (k1 + 0xbb67ae85) >>> 0; // sqrt(3) - 1
  }
  return [c0, c1, c2, c3];
}

const kinds = { uniform: 0, normal: 1, bits: 2 } as const;
type Kind = keyof typeof kinds;

function fill(key: RefArray, kind: Kind, out: Float64Array): void {
  const [k0, k1, s0, s1] = Array.from(key.data, (word) => word >>> 0);
  for (let block = 0; block * 4 < out.length; block++) {
    const words = philox([block >>> 0, high(block), s0, s1], [k0, k1]);
    const values = kind === "normal" ? [...boxMuller(words[0], words[1]), ...boxMuller(words[2], words[3])] : words.map((w) => (kind === "uniform" ? (w >>> 8) / 16777216 : w | 0));
    for (let i = 0; i < 4 && block * 4 + i < out.length; i++) out[block * 4 + i] = values[i];
  }
}

/** Two normal values from two words (Box and Muller 1958). */
function boxMuller(a: number, b: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log((a + 1) / 4294967296));
  const angle = (2 * Math.PI * b) / 4294967296;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

const randomOp = defineOp<{ shape: readonly number[]; kind: Kind; dtype: DType }>({
  name: "random",
  trait: "random",
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  evaluate: ([key], { kind }, [out]) => fill(key, kind, out.data),
  kernel: (_, { kind }) => ({ name: "random", attrs: [kinds[kind]] }),
  flops: (_, { shape }) => sizeOf(shape) * 20,
});

/** The key leaf of one random op: seed and stream as four words. It is data, so a new stream needs no new plan. */
export function nextKey(): Tensor {
  const words = Int32Array.of(seed | 0, high(seed) | 0, stream | 0, high(stream) | 0);
  stream++;
  const key = fromData(words, [4], "i32");
  currentTrace()?.keys.push(words);
  return key;
}

/** Moves keys on to fresh streams, in the order in which they were drawn. */
export function redraw(keys: readonly Int32Array[]): void {
  for (const words of keys) {
    words.set([seed | 0, high(seed) | 0, stream | 0, high(stream) | 0]);
    stream++;
  }
}

function random(op: string, shape: Shape, kind: Kind, options: CreateOptions): Tensor {
  checkOptions(op, options, ["dtype", "requiresGrad"]);
  checkShape(op, shape);
  const dtype = options.dtype ?? "f32";
  const values = record(randomOp, [nextKey()], { shape: [...shape], kind, dtype: dtype === "f64" ? "f64" : kind === "bits" ? "i32" : "f32" });
  const result = cast(values, dtype);
  if (options.requiresGrad) {
    result.node.requiresGrad = true;
    result.node.variable = result;
  }
  return result;
}

/** Uniform random numbers in [0, 1) of a given key, as f32. */
export const uniformOf = (key: Tensor, shape: Shape): Tensor => record(randomOp, [key], { shape: [...shape], kind: "uniform", dtype: "f32" });

/** Uniform random numbers in [0, 1). Same seed, same bits on every machine and for any number of threads. */
export const rand = (shape: Shape, options: CreateOptions = {}): Tensor => random("rand", shape, "uniform", options);

/** Normal random numbers with mean 0 and variance 1. */
export const randn = (shape: Shape, options: CreateOptions = {}): Tensor => random("randn", shape, "normal", options);

/** Whole random numbers in [low, high) as i32. `randint(high, shape)` starts at 0. */
export function randint(...args: [high: number, shape: Shape] | [low: number, high: number, shape: Shape]): Tensor {
  const [low, top, shape] = args.length === 2 ? [0, args[0], args[1]] : args;
  if (!Number.isInteger(low) || !Number.isInteger(top) || top <= low) throw new GraftError("argument", `randint: [${low}, ${top}) holds no whole number. Pass low < high.`);
  const spread = mul(random("randint", shape, "uniform", { dtype: "f64" }), top - low);
  return cast(add(floor(spread), low), "i32");
}
