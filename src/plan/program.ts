import { computeDType, type DType } from "../graph/index.js";
import type { Instr, Program } from "./types.js";
import type { Value } from "./value.js";

type RegisterClass = "f32" | "f64" | "i32";

const classOf = (dtype: DType): RegisterClass => computeDType(dtype);

/** The opcode that computes an element-wise value: its record's name and the class it computes in. */
function opcodeOf(value: Value): string {
  const from = classOf(value.inputs[value.inputs.length - 1].dtype);
  const to = classOf(value.dtype);
  if (value.op.opcode === "cast") return from === to ? `copy.${to}` : `cast.${from}.${to}`;
  return `${value.op.opcode}.${from}`;
}

/**
 * Turns element-wise values into a register program. `product`, if given, arrives in register 0. Registers of values that are not needed any
 * more are used again, so that the program's registers stay in the first-level cache.
 */
export function buildProgram(members: readonly Value[], product: Value | undefined, stores: readonly Value[]): { program: Program; inputs: Value[] } {
  const inside = new Set(members);
  const inputs: Value[] = [];
  const register = new Map<Value, number>();
  if (product !== undefined) register.set(product, 0);
  const first = product === undefined ? 0 : 1;
  for (const member of members) {
    for (const input of member.inputs) {
      if (input.kind === "constant" || inside.has(input) || register.has(input)) continue;
      register.set(input, first + inputs.length);
      inputs.push(input);
    }
  }
  const inputCount = first + inputs.length;
  const lastUse = new Map<Value, number>();
  members.forEach((member, i) => member.inputs.forEach((input) => lastUse.set(input, i)));
  for (const store of stores) lastUse.set(store, members.length);

  const instrs: Instr[] = [];
  const free: Record<RegisterClass, number[]> = { f32: [], f64: [], i32: [] };
  const constants = new Map<string, number>();
  let count = inputCount;
  const allocate = (kind: RegisterClass): number => free[kind].pop() ?? count++;
  const constant = (kind: RegisterClass, x: number): number => {
    const key = `${kind} ${Object.is(x, -0) ? "-0" : x}`;
    let found = constants.get(key);
    if (found === undefined) {
      constants.set(key, (found = count++)); // stays for the whole program
      instrs.push({ opcode: `const.${kind}`, dst: found, args: [], immediate: x });
    }
    return found;
  };
  members.forEach((member, i) => {
    const args = member.inputs.map((input) => (input.kind === "constant" ? constant(classOf(input.dtype), input.constant) : register.get(input)!));
    for (const input of new Set(member.inputs)) if (inside.has(input) && lastUse.get(input) === i) free[classOf(input.dtype)].push(register.get(input)!);
    const kind = classOf(member.dtype);
    const dst = allocate(kind);
    register.set(member, dst);
    instrs.push({ opcode: opcodeOf(member), dst, args, immediate: 0 });
    if (!lastUse.has(member)) free[kind].push(dst);
  });
  return { program: { inputCount, registerCount: count, instrs, stores: stores.map((store) => register.get(store)!) }, inputs };
}
