import { GraftError } from "../base/index.js";
import { Tensor, type Node } from "../graph/index.js";

function describe(op: string, value: unknown): string {
  if (Array.isArray(value)) return `an array. Spread it: ${op}(...tensors).`;
  if (value instanceof Promise) return "a Promise. Is an await missing?";
  if (typeof value !== "object" || value === null) return `${String(value)}, not a Tensor.`;
  const name = (value.constructor as { readonly name: string } | undefined)?.name ?? "object"; // made without a prototype
  return "parameters" in value ? `a ${name}. Spread its tensors: ${op}(...module.parameters()).` : `a ${name}, not a Tensor.`;
}

/** The nodes of what `realize` or `realizeSync` was given; throws `argument` for anything but tensors. */
export function nodesOf(op: string, tensors: readonly Tensor[]): Node[] {
  return tensors.map((tensor, i) => {
    if (tensor instanceof Tensor) return tensor.node;
    throw new GraftError("argument", `${op}: argument ${i + 1} is ${describe(op, tensor)}`);
  });
}
