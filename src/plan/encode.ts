import { dtypeCode } from "../graph/index.js";
import type { Plan, PlanView } from "./types.js";

/** A plan as numbers and names, as the kernels read it: kernels/abi/encoding.md. */
export interface EncodedPlan {
  readonly code: Float64Array;
  readonly names: readonly string[];
}

export function encodePlan(plan: Plan): EncodedPlan {
  const code: number[] = [1, plan.arenaBytes, plan.slots.length, plan.steps.length];
  const names: string[] = [];
  const known = new Map<string, number>();
  const name = (text: string): number => {
    let index = known.get(text);
    if (index === undefined) known.set(text, (index = names.push(text) - 1));
    return index;
  };
  const view = ({ buffer, offset, dtype, shape, strides }: PlanView): void => void code.push(buffer, offset, dtypeCode(dtype), shape.length, ...shape, ...strides);
  for (const step of plan.steps) {
    const { program } = step;
    code.push(name(step.kernel), step.flops, program === undefined ? -1 : step.attrs.length, step.inputs.length);
    step.inputs.forEach(view);
    code.push(step.outputs.length);
    step.outputs.forEach(view);
    const attrs = [...step.attrs];
    if (program !== undefined) {
      attrs.push(program.inputCount, program.registerCount, program.instrs.length);
      for (const { opcode, dst, args, immediate } of program.instrs) attrs.push(name(opcode), dst, args[0] ?? -1, args[1] ?? -1, args[2] ?? -1, immediate);
      attrs.push(program.stores.length, ...program.stores);
    }
    code.push(attrs.length);
    for (const attr of attrs) code.push(attr);
  }
  return { code: Float64Array.from(code), names };
}
