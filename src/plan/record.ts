import { leafNode, Tensor, type Node, type Op } from "../graph/index.js";
import { fullOp } from "../ops/index.js";
import type { Value } from "./value.js";

/**
 * Values for what `build` records on stand-ins of the given ones: passes write what they put into a graph as ops on tensors. `add` gets them, inputs
 * before users; what `build` hands to `settle` comes then, and is stored before what follows.
 */
export function recorded(inputs: readonly Value[], origin: number, add: (value: Value) => void, build: (tensors: readonly Tensor[], settle: (tensor: Tensor) => void) => readonly Tensor[]): Value[] {
  const known = new Map<Node, Value>();
  const standIns = inputs.map((value) => {
    const node = leafNode(undefined, value.shape, value.dtype);
    known.set(node, value);
    return new Tensor(node);
  });
  const valueOf = (node: Node, stored: boolean): Value => {
    const found = known.get(node);
    if (found !== undefined) return found;
    const { op, attrs, shape, dtype, outputs } = node;
    const inputs = node.inputs.map((input) => valueOf(input, false));
    // A constant has no memory to look at, so a view of it is one too.
    const constant = (op as unknown) === fullOp ? (attrs.value as number) : op.trait === "movement" && inputs[0].kind === "constant" ? inputs[0].constant : undefined;
    const own = { shape, dtype, outputs, origin, stored };
    const value: Value = constant === undefined ? { ...own, kind: "op", op, attrs, inputs, constant: 0 } : { ...own, kind: "constant", op: fullOp as unknown as Op, attrs: {}, inputs: [], constant };
    known.set(node, value);
    add(value);
    return value;
  };
  return build(standIns, ({ node }) => void valueOf(node, true)).map(({ node }) => valueOf(node, false));
}
