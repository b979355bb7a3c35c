import { permuteOp } from "../ops/index.js";
import { isMovement, type Wanted } from "./place.js";
import { countUses, rewrite } from "./rewrite.js";
import type { Value } from "./value.js";

/** Whether a value is its input with the last two dims swapped. */
export function swapsLastTwo(value: Value): boolean {
  const rank = value.shape.length;
  if (rank < 2 || !isMovement(value) || (value.op as unknown) !== permuteOp) return false;
  return (value.attrs.dims as readonly number[]).every((dim, d) => dim === (d === rank - 1 ? rank - 2 : d === rank - 2 ? rank - 1 : d));
}

/** A value with its last two dims swapped. */
export function swapped(value: Value): Value {
  const dims = value.shape.map((_, d) => d);
  dims.push(...dims.splice(-2).reverse());
  if (value.kind === "constant") return { ...value, shape: dims.map((d) => value.shape[d]) }; // it has no memory to look at otherwise
  return { ...value, kind: "op", op: permuteOp as unknown as Value["op"], attrs: { dims }, inputs: [value], shape: dims.map((d) => value.shape[d]), outputs: undefined };
}

/**
 * (A B)^T = B^T A^T: a product that is only read transposed is computed transposed. Transposed operands cost a product nothing, but reading a
 * large result against its order does (the gradient of a linear layer's weight, read by the optimiser).
 */
export function transposeProducts(values: readonly Value[], wanted: Wanted): { values: Value[]; wanted: Wanted } {
  const uses = countUses(values, wanted);
  return rewrite(values, wanted, (value, { now, add }) => {
    const product = value.inputs[0];
    const turns = value.inputs.length === 1 && product.op.trait === "contract" && product.kind === "op" && uses.get(product) === 1 && swapsLastTwo(value);
    if (!turns) return undefined;
    const [a, b] = now(product).inputs;
    const operands = [swapped(b), swapped(a)];
    operands.forEach(add);
    return { ...product, inputs: operands, shape: value.shape, origin: value.origin };
  });
}
