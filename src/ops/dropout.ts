import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { showShape, type Shape, type Tensor } from "../graph/index.js";
import { asTensor, toFloat } from "./operand.js";
import { rand } from "./random.js";
import { add, ge, mul, where } from "./scalar.js";

/** Options of the dropout family. */
export interface DropoutOptions {
  /** Probability, from 0 to 1, that an element is dropped; 0.5 by default. */
  readonly p?: number;
  /** False returns x unchanged; true by default. */
  readonly training?: boolean;
}

/** Checks the arguments; undefined when x passes unchanged. */
function rate(op: string, x: Tensor, options: DropoutOptions): number | undefined {
  checkOptions(op, options, ["p", "training"]);
  asTensor(op, "x", x);
  const p = checkNumber(op, "p", options.p ?? 0.5, { min: 0, max: 1 });
  return p === 0 || options.training === false ? undefined : p;
}

/** Keeps elements with probability 1 - p and scales them by 1 / (1 - p), so that the mean stays; the mask has `shape` and broadcasts. */
function dropMasked(x: Tensor, p: number, shape: Shape): Tensor {
  const floats = toFloat(x);
  const kept = ge(rand(shape), p); // rand is in [0, 1): p = 1 keeps nothing
  return where(kept, mul(floats, p < 1 ? 1 / (1 - p) : 0), 0);
}

/**
 * Drops single elements while training (Srivastava et al., 2014); what stays is scaled by 1 / (1 - p).
 * @throws GraftError `argument` when p is not from 0 to 1.
 * @example F.dropout(x, { p: 0.1, training: model.training });
 */
export function dropout(x: Tensor, options: DropoutOptions = {}): Tensor {
  const p = rate("dropout", x, options);
  return p === undefined ? x : dropMasked(x, p, x.shape);
}

function dropFeatures(op: string, x: Tensor, options: DropoutOptions, rank: number, form: string): Tensor {
  const p = rate(op, x, options);
  if (x.ndim !== rank) throw new GraftError("shape", `${op}: x is ${showShape(x.shape)}. It must be ${form}.`);
  return p === undefined ? x : dropMasked(x, p, x.shape.map((n, d) => (d < 2 ? n : 1)));
}

/** Drops whole channels of x [B, C, L]; otherwise as {@link dropout}. */
export const dropout1d = (x: Tensor, options: DropoutOptions = {}): Tensor => dropFeatures("dropout1d", x, options, 3, "[B, C, L]");

/**
 * Drops whole channels of x [B, C, H, W], whose pixels are alike (Tompson et al., 2015); otherwise as {@link dropout}.
 * @example F.dropout2d(x, { p: 0.2, training: true });
 */
export const dropout2d = (x: Tensor, options: DropoutOptions = {}): Tensor => dropFeatures("dropout2d", x, options, 4, "[B, C, H, W]");

/** Drops whole channels of x [B, C, D, H, W]; otherwise as {@link dropout}. */
export const dropout3d = (x: Tensor, options: DropoutOptions = {}): Tensor => dropFeatures("dropout3d", x, options, 5, "[B, C, D, H, W]");

/** What SELU tends to for very negative inputs: -scale * alpha. */
const seluFloor = -1.7580993408473766;

/**
 * Dropout for SELU networks: dropped elements take SELU's lower limit, and the result is scaled and shifted so that mean and variance stay
 * (Klambauer et al., 2017).
 * @example F.alphaDropout(x, { p: 0.1 });
 */
export function alphaDropout(x: Tensor, options: DropoutOptions = {}): Tensor {
  const p = rate("alphaDropout", x, options);
  if (p === undefined) return x;
  const floats = toFloat(x);
  if (p === 1) return mul(floats, 0);
  // y = a * (x or floor) + b with a = ((1 - p) (1 + p floor^2))^(-1/2), b = -a p floor
  const a = 1 / Math.sqrt((1 - p) * (1 + p * seluFloor * seluFloor));
  return add(mul(where(ge(rand(x.shape), p), floats, seluFloor), a), -a * p * seluFloor);
}
