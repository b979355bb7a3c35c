import { catOp } from "../ops/index.js";
import type { Wanted } from "./place.js";
import { countUses, rewrite } from "./rewrite.js";
import { swapped, swapsLastTwo } from "./transpose.js";
import type { Value } from "./value.js";

/** Fewer products than this are summed as they are. */
const leastTerms = 4;

/** A value seen without transposes that undo each other. */
const plain = (value: Value): Value => (swapsLastTwo(value) && swapsLastTwo(value.inputs[0]) ? plain(value.inputs[0].inputs[0]) : value);

const batchOf = (shape: readonly number[]): string => shape.slice(0, -2).join();

/** A product of two matrices whose operands can be joined, or of several pairs side by side. */
function isTerm(value: Value): boolean {
  if (value.kind !== "op" || value.op.trait !== "contract") return false;
  return value.inputs.length === 2 && value.inputs.every(({ kind, shape, dtype }) => kind !== "constant" && shape.length >= 2 && batchOf(shape) === batchOf(value.shape) && dtype === value.dtype);
}

/** Joins matrices along their rows (0) or columns (1), below their transposes where all have one. */
function joined(matrices: readonly Value[], dim: 0 | 1, like: Value, add: (value: Value) => void): Value {
  const given = matrices.map(plain);
  const turned = given.every(swapsLastTwo);
  const parts = turned ? given.map((value) => value.inputs[0]) : given;
  const along = like.shape.length - 2 + (turned ? 1 - dim : dim);
  const shape = parts[0].shape.map((n, d) => (d === along ? parts.reduce((total, part) => total + part.shape[d], 0) : n));
  const cat: Value = { ...like, op: catOp as unknown as Value["op"], attrs: { dim: along }, inputs: parts, shape };
  add(cat);
  if (!turned) return cat;
  const result = swapped(cat);
  add(result);
  return result;
}

/**
 * A_1 B_1 + A_2 B_2 + ... = [A_1 A_2 ...] [B_1; B_2; ...]: the gradient of a weight that many steps use (a recurrent network's) is one product with a
 * long inner sum, where its operands are smaller than the products that would be written and added up.
 */
export function sumProducts(values: readonly Value[], wanted: Wanted): { values: Value[]; wanted: Wanted } {
  const uses = countUses(values, wanted);
  const terms = new Map<Value, readonly Value[]>(); // of sums that consist of products only
  const inner = new Set<Value>(); // sums and products that are part of a longer one
  for (const value of values) {
    if (isTerm(value)) terms.set(value, [value]);
    if (value.kind !== "op" || value.op.opcode !== "add") continue;
    const parts = value.inputs.map((input) => (uses.get(input) === 1 && input.dtype === value.dtype ? terms.get(input) : undefined));
    if (parts.some((part) => part === undefined) || value.inputs.some(({ shape }) => shape.join() !== value.shape.join())) continue;
    terms.set(value, parts.flatMap((part) => part!));
    value.inputs.forEach((input) => inner.add(input));
  }
  return rewrite(values, wanted, (value, { now, add }) => {
    const products = inner.has(value) ? [] : (terms.get(value) ?? []);
    const [M, N] = value.shape.slice(-2);
    const read = products.reduce((total, { inputs: [a] }) => total + a.shape[a.shape.length - 1] * (M + N), 0);
    if (products.length < leastTerms || read > products.length * M * N) return undefined;
    const operands = products.map((product) => now(product).inputs);
    const inputs = [joined(operands.map(([a]) => a), 1, value, add), joined(operands.map(([, b]) => b), 0, value, add)];
    return { ...products[0], inputs, origin: value.origin };
  });
}
