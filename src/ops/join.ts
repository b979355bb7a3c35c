import { GraftError } from "../base/index.js";
import { defineOp, normalizeDim, promote, record, showShape, sizeOf, type Tensor } from "../graph/index.js";
import { slice } from "./movement.js";
import { asTensor } from "./operand.js";
import { cast } from "./scalar.js";

/** Constant padding; `pads` holds low and high per dim, first dim first. */
export const padOp = defineOp<{ pads: readonly number[]; value: number }>({
  name: "pad",
  trait: "opaque",
  infer: ([x], { pads }) => ({ shape: x.shape.map((n, d) => n + pads[2 * d] + pads[2 * d + 1]), dtype: x.dtype }),
  vjp: ({ inputs: [x], grad, attrs: { pads } }) => [x.shape.reduce((g, n, d) => slice(g, d, n === 0 ? 0 : pads[2 * d], n), grad)],
  evaluate: ([x], { pads, value }, [out]) => {
    out.data.fill(value);
    const index = new Array<number>(x.shape.length).fill(0);
    for (let i = 0; i < x.data.length; i++) {
      let at = 0;
      for (let d = 0; d < index.length; d++) at = at * out.shape[d] + index[d] + pads[2 * d];
      out.data[at] = x.data[i];
      for (let d = index.length - 1; d >= 0 && ++index[d] === x.shape[d]; d--) index[d] = 0;
    }
  },
  kernel: (_, { pads, value }) => ({ name: "pad", attrs: [...pads, value], strided: true }),
});

/** Pads every dim with a constant: `pads` is [low, high] per dim, first dim first, all 0 or more. */
export function padConstant(x: Tensor, pads: readonly number[], value: number): Tensor {
  return pads.every((n) => n === 0) ? x : record(padOp, [x], { pads: [...pads], value });
}

/** {@link padConstant} with zeros. */
export const padZeros = (x: Tensor, pads: readonly number[]): Tensor => padConstant(x, pads, 0);

export const catOp = defineOp<{ dim: number }>({
  name: "cat",
  trait: "opaque",
  infer: (inputs, { dim }) => {
    const first = inputs[0];
    inputs.forEach((x, i) => {
      if (x.shape.length !== first.shape.length || x.shape.some((n, d) => d !== dim && n !== first.shape[d])) {
        throw new GraftError("shape", `cat: tensor ${i} is ${showShape(x.shape)}, tensor 0 is ${showShape(first.shape)}. All sizes but that of dim ${dim} must be equal.`);
      }
    });
    return { shape: first.shape.map((n, d) => (d === dim ? inputs.reduce((total, x) => total + x.shape[d], 0) : n)), dtype: first.dtype };
  },
  vjp: ({ inputs, grad, attrs: { dim } }) => {
    let start = 0;
    return inputs.map((x) => {
      const part = slice(grad, dim, Math.min(start, Math.max(0, grad.shape[dim] - 1)), x.shape[dim]);
      start += x.shape[dim];
      return part;
    });
  },
  evaluate: (inputs, { dim }, [out]) => {
    const inner = sizeOf(out.shape.slice(dim + 1));
    const outer = sizeOf(out.shape.slice(0, dim));
    let at = 0;
    for (let o = 0; o < outer; o++) {
      for (const x of inputs) {
        const run = x.shape[dim] * inner;
        out.data.set(x.data.subarray(o * run, (o + 1) * run), at);
        at += run;
      }
    }
  },
  kernel: (_, { dim }) => ({ name: "cat", attrs: [dim], strided: true }),
});

/** Joins tensors along an existing dim (0 by default). */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  if (tensors.length === 0) throw new GraftError("argument", "cat: the list of tensors is empty. Pass at least one.");
  const dtype = tensors.map((x, i) => asTensor("cat", `tensor ${i}`, x).dtype).reduce(promote);
  const d = normalizeDim("cat", dim, tensors[0].ndim);
  return tensors.length === 1 ? tensors[0] : record(catOp, tensors.map((x) => cast(x, dtype)), { dim: d });
}
