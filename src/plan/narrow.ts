import { isMovement, type Wanted } from "./place.js";
import { rewrite, type Rewriting } from "./rewrite.js";
import { withInputs, type Value } from "./value.js";

/** f32 values that were only cast from a 16-bit float. */
const isWidened = (value: Value): boolean => value.kind === "op" && value.op.opcode === "cast" && value.dtype === "f32" && (value.inputs[0].dtype === "bf16" || value.inputs[0].dtype === "f16");

const isStored = (value: Value): boolean => (isMovement(value) ? isStored(value.inputs[0]) : value.kind === "input");

/**
 * Products read weights that are stored in 16 bits as they are: the kernel widens them where it packs them, so that a frozen model in bf16 is neither
 * copied to f32 in every step nor read twice as slowly.
 */
export function readNarrow(values: readonly Value[], wanted: Wanted): { values: Value[]; wanted: Wanted } {
  const narrow = new Map<Value, Value | undefined>();
  /** The same values in 16 bits, seen in the same way. */
  const narrowed = (value: Value, add: Rewriting["add"]): Value | undefined => {
    if (narrow.has(value)) return narrow.get(value);
    let found: Value | undefined;
    if (isWidened(value) && isStored(value.inputs[0])) found = value.inputs[0];
    else if (isMovement(value)) {
      const input = narrowed(value.inputs[0], add);
      if (input !== undefined) add((found = { ...value, inputs: [input], dtype: input.dtype }));
    }
    narrow.set(value, found);
    return found;
  };
  return rewrite(values, wanted, (value, { now, add }) => {
    const reads = value.kind === "op" && value.op.trait === "contract" && value.dtype === "f32";
    return reads ? withInputs(value, value.inputs.map(now).map((input) => narrowed(input, add) ?? input)) : undefined;
  });
}
