import { checkOptions, GraftError } from "../base/index.js";
import { decode, fromData, isFloat, showShape, type Tensor } from "../graph/index.js";
import type { QuantMatrix } from "../ops/index.js";
import { codeBook, type QuantType } from "./code-books.js";

/** Options of {@link quantize}. */
export interface QuantizeOptions {
  /** "nf4": 4 bits spaced for normally distributed weights (the default); "int4", "int8": equal steps. */
  readonly type?: QuantType;
  /** Values that share a scale (the largest of them in absolute value), a power of two. Default: 64. */
  readonly blockSize?: number;
  /** Stores the scales in 8 bits too, which saves 0.37 bits per weight at blocks of 64. Default: true. */
  readonly doubleQuant?: boolean;
}

/** Scales of one second-level step. */
const perStep = 256;

/** The values of a weight as f32 or f64, without a copy where it has such memory. */
function hostValues(weight: Tensor): ArrayLike<number> {
  const data = weight.node.value ?? weight.dataSync();
  return weight.dtype === "f32" || weight.dtype === "f64" ? data : Float32Array.from(data, (raw) => decode(weight.dtype, raw));
}

/**
 * Stores a matrix in blocks of few bits (Dettmers et al., "QLoRA", 2023): each block keeps its largest absolute value as scale, each weight the code of the nearest
 * value of the code book. nf4 with double quantisation takes 4.13 bits per weight at blocks of 64, and 4.5 without. The error of a weight is at most half the widest gap of
 * the book times the scale.
 *
 * Throws `shape` for what is not a matrix, `numeric` for a weight that is not finite.
 * @example
 * const matrix = tune.quantize(linear.weight, { type: "nf4" });
 * F.quantLinear(x, matrix);
 */
export function quantize(weight: Tensor, options: QuantizeOptions = {}): QuantMatrix {
  checkOptions("quantize", options, ["type", "blockSize", "doubleQuant"]);
  const { type = "nf4", blockSize = 64, doubleQuant = true } = options;
  if (!Number.isInteger(Math.log2(blockSize)) || blockSize < 2) throw new GraftError("argument", `quantize: blockSize is ${blockSize}. Use a power of two, for example 64.`);
  if (weight.ndim !== 2 || !isFloat(weight.dtype)) throw new GraftError("shape", `quantize: the weight is ${weight.dtype} ${showShape(weight.shape)}. Only a matrix of floats can be stored in blocks.`);
  const { bits, values: book, nearest } = codeBook(type);
  const [rows, columns] = weight.shape;
  const values = hostValues(weight);
  const largest = new Float32Array(Math.ceil(values.length / blockSize));
  for (let block = 0, e = 0; block < largest.length; block++) {
    let most = 0;
    for (const end = Math.min(values.length, e + blockSize); e < end; e++) {
      const size = Math.abs(values[e]);
      if (!(size < Infinity)) throw new GraftError("numeric", `quantize: the weight ${showShape(weight.shape)} has ${values[e]} as value ${e}. Only finite weights can be stored in blocks.`);
      if (size > most) most = size;
    }
    largest[block] = most;
  }
  const { scales, second, decoded } = doubleQuant ? inTwoLevels(largest) : { scales: largest, second: new Float32Array(1), decoded: largest };
  const codes = new Uint8Array(Math.ceil((values.length * bits) / 8));
  for (let block = 0, e = 0; block < decoded.length; block++) {
    const scale = decoded[block];
    for (const end = Math.min(values.length, e + blockSize); e < end; e++) {
      const code = nearest(scale > 0 ? values[e] / scale : 0);
      if (bits === 8) codes[e] = code;
      else codes[e >> 1] |= e % 2 === 0 ? code << 4 : code;
    }
  }
  return {
    rows,
    columns,
    bits,
    blockSize,
    codes: fromData(codes, [codes.length], "u8"),
    scales: fromData(scales, [scales.length], doubleQuant ? "u8" : "f32"),
    second: fromData(second, [second.length], "f32"),
    book: fromData(book, [book.length], "f32"),
  };
}

/** Scales as mean + step * code with codes of -127 to 127 (stored with 128 added) and one step per 256 scales. */
function inTwoLevels(scales: Float32Array): { readonly scales: Uint8Array; readonly second: Float32Array; readonly decoded: Float32Array } {
  const steps = Math.ceil(scales.length / perStep);
  const second = new Float32Array(1 + steps);
  const codes = new Uint8Array(scales.length);
  const decoded = new Float32Array(scales.length);
  second[0] = scales.reduce((sum, scale) => sum + scale, 0) / Math.max(1, scales.length);
  for (let s = 0; s < steps; s++) {
    const end = Math.min(scales.length, (s + 1) * perStep);
    let widest = 0;
    for (let j = s * perStep; j < end; j++) widest = Math.max(widest, Math.abs(scales[j] - second[0]));
    second[1 + s] = widest / 127;
    for (let j = s * perStep; j < end; j++) {
      const code = second[1 + s] > 0 ? Math.max(-127, Math.min(127, Math.round((scales[j] - second[0]) / second[1 + s]))) : 0;
      codes[j] = code + 128;
      decoded[j] = Math.max(0, second[0] + second[1 + s] * code); // a rounded scale of 0 must not turn negative
    }
  }
  return { scales: codes, second, decoded };
}

/** Bytes that a quantised matrix takes, the shared code book left out. */
export const quantBytes = ({ codes, scales, second }: QuantMatrix): number => codes.size + scales.size * (scales.dtype === "u8" ? 1 : 4) + second.size * 4;
