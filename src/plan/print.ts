import { showShape } from "../graph/index.js";
import { arena, virtual, type Plan, type PlanView } from "./types.js";

function showView({ buffer, offset, dtype, shape, strides }: PlanView): string {
  const where = buffer === arena ? `@${offset}` : buffer === virtual ? `index+${offset}` : `slot${buffer}${offset ? `+${offset}` : ""}`;
  let step = 1;
  let dense = true;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && strides[d] !== step) dense = false;
    step *= shape[d];
  }
  return `${where}:${dtype}${showShape(shape)}${dense ? "" : `/${strides.join(",")}`}`;
}

/** A plan as text, a line per kernel call: for people, and for the plan goldens of the tests. */
export function printPlan(plan: Plan): string {
  const lines = plan.slots.map(({ kind, dtype, shape }, i) => `slot${i} ${kind} ${dtype}${showShape(shape)}`);
  for (const { kernel, label, inputs, outputs, attrs, program } of plan.steps) {
    lines.push(`${outputs.map(showView).join(", ")} = ${kernel}${attrs.length ? `<${attrs.join(",")}>` : ""}(${inputs.map(showView).join(", ")})  # ${label}`);
    for (const { opcode, dst, args, immediate } of program?.instrs ?? []) {
      lines.push(`    r${dst} = ${opcode} ${opcode.startsWith("const") ? immediate : args.map((arg) => `r${arg}`).join(" ")}`);
    }
    if (program !== undefined && program.instrs.length > 0) lines.push(`    store ${program.stores.map((register) => `r${register}`).join(" ")}`);
  }
  lines.push(`arena ${plan.arenaBytes} bytes, ${plan.flops} flops`);
  return lines.join("\n");
}
