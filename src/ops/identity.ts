import { defineOp, record, type Op, type Tensor } from "../graph/index.js";
import { asTensor } from "./operand.js";

/** The value of its first input. Further inputs only receive gradients (see `customGradient`). */
export const identityOp: Op = defineOp({
  name: "identity",
  trait: "movement",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: ({ grad }) => [grad],
  view: (input) => input,
  evaluate: ([x], _, [out]) => out.data.set(x.data),
});

/** A new node with the value of `x`: a point at which a gradient can be taken. */
export const identity = (x: Tensor): Tensor => record(identityOp, [x]);

/** The same value without a gradient. */
const detachOp: Op = defineOp({ name: "detach", trait: identityOp.trait, infer: identityOp.infer, view: identityOp.view, evaluate: identityOp.evaluate });

/** The same value, cut off from the gradient. */
export const detach = (x: Tensor): Tensor => record(detachOp, [asTensor("detach", "x", x)]);

/** A contiguous copy in memory of its own; the planner places it where a view is not enough. */
export const copyOp: Op = defineOp({
  name: "copy",
  trait: "scalar",
  opcode: "copy",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: ({ grad }) => [grad],
  evaluate: ([x], _, [out]) => out.data.set(x.data),
});
