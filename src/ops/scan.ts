import { computeDType, defineOp, normalizeDim, record, type DType, type Op, type RefArray, type Tensor } from "../graph/index.js";
import { linesOf } from "./indexing.js";
import { asTensor } from "./operand.js";
import { cast, div, eq, logicalAnd, mul, where } from "./scalar.js";

type ScanAttrs = { dim: number; reverse: boolean };

/** Running fold along a dim, from the last element backwards when `reverse`. */
function evaluateScan(x: RefArray, { dim, reverse }: ScanAttrs, out: RefArray, start: number, fold: (a: number, b: number) => number): void {
  const { outer, size, inner } = linesOf(x.shape, dim);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let total = start;
      for (let k = 0; k < size; k++) {
        const at = (o * size + (reverse ? size - 1 - k : k)) * inner + i;
        out.data[at] = total = fold(total, x.data[at]);
      }
    }
  }
}

const cumsumOp: Op<ScanAttrs> = defineOp<ScanAttrs>({
  name: "cumsum",
  trait: "opaque",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  // x_i is in all sums from i on, so the gradient runs the other way
  vjp: ({ grad, attrs: { dim, reverse } }) => [record(cumsumOp, [grad], { dim, reverse: !reverse })],
  evaluate: ([x], attrs, [out]) => evaluateScan(x, attrs, out, 0, (a, b) => a + b),
  kernel: (_, { dim, reverse }) => ({ name: "cumsum", attrs: [dim, reverse ? 1 : 0] }),
});

const cumprodOp: Op<ScanAttrs> = defineOp<ScanAttrs>({
  name: "cumprod",
  trait: "opaque",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: ({ inputs: [x], output, grad, attrs: { dim, reverse } }) => {
    // dx_i = sum over j >= i of dy_j y_j / x_i. That holds before the first zero. At the first zero x_i is left out of the products (read as 1);
    // after it every product contains it, so nothing depends on x_i.
    const backwards = (values: Tensor): Tensor => record(cumsumOp, [values], { dim, reverse: !reverse });
    const isZero = eq(x, 0);
    const zerosSoFar = record(cumsumOp, [cast(isZero, "i32")], { dim, reverse });
    const first = logicalAnd(isZero, eq(zerosSoFar, 1));
    const without = record(cumprodOp, [where(first, 1, x)], { dim, reverse });
    const before = div(backwards(mul(grad, output)), where(isZero, 1, x));
    return [where(eq(zerosSoFar, 0), before, where(first, backwards(mul(grad, without)), 0))];
  },
  evaluate: ([x], attrs, [out]) => evaluateScan(x, attrs, out, 1, (a, b) => a * b),
  kernel: (_, { dim, reverse }) => ({ name: "cumprod", attrs: [dim, reverse ? 1 : 0] }),
});

function scan(op: Op<ScanAttrs>, x: Tensor, dim: number): Tensor {
  const d = normalizeDim(op.name, dim, asTensor(op.name, "x", x).ndim);
  const compute: DType = computeDType(x.dtype);
  const result: DType = x.dtype === "u8" || x.dtype === "bool" ? "i32" : x.dtype;
  if (x.ndim === 0) return cast(x, result);
  return cast(record(op, [cast(x, compute)], { dim: d, reverse: false }), result);
}

/** Running sum along `dim`: y_i = x_0 + ... + x_i. bool and u8 are summed as i32. */
export const cumsum = (x: Tensor, dim: number): Tensor => scan(cumsumOp, x, dim);

/** Running product along `dim`: y_i = x_0 * ... * x_i. The gradient is right where values are 0, too. */
export const cumprod = (x: Tensor, dim: number): Tensor => scan(cumprodOp, x, dim);
