import { GraftError } from "../base/index.js";
import { broadcastShapes, isFloat, showShape, Tensor, type Shape } from "../graph/index.js";
import { gather, indexSelect } from "./gather.js";
import { expand, reshape, slice } from "./movement.js";
import { asTensor } from "./operand.js";
import { add, cast, lt, where } from "./scalar.js";

/** A run of positions `[start, stop, step]` as in Python: stop is not included, negatives count from the end, null or absent means open. */
export type Range = readonly [start?: number | null, stop?: number | null, step?: number | null];

/** One index of {@link at}: a position, a range, null (everything), "..." (all dims in between), or a tensor of positions. */
export type Index = number | null | Range | "..." | Tensor;

/** First position, count and step of a range inside a dim of size n; out-of-range ends are clipped. */
export function resolveRange(range: Range, n: number): { start: number; size: number; step: number } {
  const step = range[2] ?? 1;
  if (range.length > 3 || step === 0 || ![range[0] ?? 0, range[1] ?? 0, step].every(Number.isInteger)) {
    throw new GraftError("index", `at: ${JSON.stringify(range)} is not a range. Write [start, stop, step] with whole numbers and a step that is not 0; null leaves an end open.`);
  }
  const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
  const clip = (value: number): number => Math.min(Math.max(value < 0 ? value + n : value, low), high);
  const start = range[0] === null || range[0] === undefined ? (step > 0 ? 0 : n - 1) : clip(range[0]);
  const stop = range[1] === null || range[1] === undefined ? (step > 0 ? n : -1) : clip(range[1]);
  return { start, size: Math.max(0, Math.ceil((stop - start) / step)), step };
}

const showIndex = (index: readonly Index[]): string => index.map((part) => (part instanceof Tensor ? `tensor ${showShape(part.shape)}` : JSON.stringify(part))).join(", ");

/** Spells out "..." and what is missing at the end, so that there is one index per dim. */
function perDim(index: readonly Index[], shape: Shape): Exclude<Index, "...">[] {
  const dots = index.indexOf("...");
  const given = index.filter((part) => part !== "...");
  if (index.length - given.length > 1) throw new GraftError("index", `at: (${showIndex(index)}) has more than one "...". Use it once.`);
  if (given.length > shape.length) throw new GraftError("index", `at: (${showIndex(index)}) has ${given.length} indices, x ${showShape(shape)} has ${shape.length} dims. Leave some out.`);
  const open = new Array<null>(shape.length - given.length).fill(null);
  return (dots < 0 ? [...given, ...open] : [...given.slice(0, dots), ...open, ...given.slice(dots)]) as Exclude<Index, "...">[];
}

/** Positions as i32; negative ones count from the end of a dim of size n. */
function positions(index: Tensor, n: number): Tensor {
  if (index.dtype === "bool") throw new GraftError("index", `at: a bool tensor ${showShape(index.shape)} selects a number of elements that is known only after computing. Use F.where or F.maskedFill.`);
  if (isFloat(index.dtype)) throw new GraftError("dtype", `at: the index is ${index.dtype} ${showShape(index.shape)}; positions are whole numbers. Use index.to("i32").`);
  const whole = cast(index, "i32");
  return where(lt(whole, 0), add(whole, n), whole);
}

/** Picks by tensors along neighbouring dims, starting at `first`: the tensors broadcast, and their shape takes the place of those dims. */
function pick(x: Tensor, first: number, indices: readonly Tensor[]): Tensor {
  const shape = indices.map((index) => index.shape).reduce((a, b) => broadcastShapes("at", a, b));
  const flat = indices.map((index, k) => {
    const wide = expand(positions(index, x.shape[first + k]), shape);
    return reshape(wide, [wide.size]);
  });
  const count = flat[0].size;
  let result = indexSelect(x, first, flat[0]); // [..., count, n1, n2, ...]
  for (const index of flat.slice(1)) {
    // one position per row of dim first + 1; gather checks each against that dim
    const target = result.shape.map((n, d) => (d === first + 1 ? 1 : n));
    const own = reshape(index, target.map((_, d) => (d === first ? count : 1)));
    const row = gather(result, first + 1, expand(own, target));
    result = reshape(row, row.shape.filter((_, d) => d !== first + 1));
  }
  return reshape(result, [...result.shape.slice(0, first), ...shape, ...result.shape.slice(first + 1)]);
}

/**
 * The part of x at one index per dim: a number takes one position and drops the dim, `[start, stop, step]` takes a range, null everything,
 * "..." all dims in between, and an i32 tensor the positions that it holds (several in a row broadcast and pick element by element).
 * Negative positions count from the end.
 * @throws GraftError `index` for a position outside its dim, or more indices than dims.
 * @example
 * at(x, 0); at(x, null, -1); at(x, [1, 3]); at(x, "...", [null, null, -1]); at(logProbs, arange(64), labels);
 */
export function at(x: Tensor, ...index: readonly Index[]): Tensor {
  asTensor("at", "x", x);
  const parts = perDim(index, x.shape);
  const tensors = parts.flatMap((part, d) => (part instanceof Tensor ? [d] : []));
  if (tensors.some((d, i) => i > 0 && d !== tensors[i - 1] + 1)) {
    throw new GraftError("index", `at: (${showIndex(index)}) has tensors that are not next to each other. Index in two steps, or permute the dims first.`);
  }
  const dropped = new Set<number>();
  let result = x;
  parts.forEach((part, d) => {
    const n = x.shape[d];
    if (part === null || part instanceof Tensor) return;
    if (typeof part === "number") {
      if (!Number.isInteger(part) || part < -n || part >= n) throw new GraftError("index", `at: position ${part} is outside dim ${d} of x ${showShape(x.shape)}. Use ${-n} to ${n - 1}.`);
      result = slice(result, d, part < 0 ? part + n : part, 1);
      dropped.add(d);
    } else if (Array.isArray(part)) {
      const { start, size, step } = resolveRange(part as Range, n);
      result = slice(result, d, size === 0 ? 0 : start, size, size === 0 ? 1 : step);
    } else throw new GraftError("index", `at: ${String(part)} is not an index. Use a number, [start, stop, step], null, "..." or a tensor.`);
  });
  const kept = reshape(result, result.shape.filter((_, d) => !dropped.has(d)));
  if (tensors.length === 0) return kept;
  const before = [...dropped].filter((d) => d < tensors[0]).length;
  return pick(kept, tensors[0] - before, tensors.map((d) => parts[d] as Tensor));
}
