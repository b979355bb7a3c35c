import { GraftError } from "../../base/index.js";
import { allocate, isFloat, sizeOf, type RefArray, type TypedArray } from "../../graph/index.js";
import type { Plan, PlanStep } from "../../plan/index.js";
import type { Backend, LoadedPlan } from "../backend.js";
import { readView, writeView } from "./memory.js";

/** Runs one step by its op's own reference evaluation, in f64; results are rounded when they are stored. Returns whether all are finite. */
function runStep(step: PlanStep, slots: readonly TypedArray[], arena: ArrayBuffer): boolean {
  const { evaluation } = step;
  if (evaluation?.op.evaluate === undefined) throw new GraftError("backend", `${step.label}: the reference backend has no evaluation for it. This is a bug in Graft.`);
  const inputs = evaluation.args.map((arg): RefArray =>
    "view" in arg ? readView(step.inputs[arg.view], slots, arena) : { ...arg.spec, data: new Float64Array(sizeOf(arg.spec.shape)).fill(arg.constant) },
  );
  const outputs = step.outputs.map(({ shape, dtype }): RefArray => ({ shape, dtype, data: new Float64Array(sizeOf(shape)) }));
  evaluation.op.evaluate(inputs, evaluation.attrs, outputs);
  outputs.forEach(({ data }, i) => writeView(step.outputs[i], data, slots, arena));
  return outputs.every(({ data, dtype }) => !isFloat(dtype) || data.every(Number.isFinite));
}

class ReferencePlan implements LoadedPlan {
  private readonly nanoseconds: Float64Array;

  constructor(private readonly plan: Plan) {
    this.nanoseconds = new Float64Array(plan.steps.length);
  }

  runSync(slots: readonly TypedArray[], checkFinite: boolean): number {
    const arena = new ArrayBuffer(this.plan.arenaBytes);
    for (let i = 0; i < this.plan.steps.length; i++) {
      const start = performance.now();
      const finite = runStep(this.plan.steps[i], slots, arena);
      this.nanoseconds[i] = (performance.now() - start) * 1e6;
      if (checkFinite && !finite) return i;
    }
    return -1;
  }

  // async, so that a failure is a rejection and not an exception in the caller
  async run(slots: readonly TypedArray[], checkFinite: boolean): Promise<number> {
    return Promise.resolve(this.runSync(slots, checkFinite));
  }

  times(): Float64Array {
    return this.nanoseconds;
  }
}

/** The oracle: small, slow, in TypeScript. It runs each op as its record says and nothing else. */
export const referenceBackend: Backend = {
  name: "reference",
  fuses: false,
  description: "reference (TypeScript)",
  supports: (op) => op.evaluate !== undefined,
  load: (plan) => new ReferencePlan(plan),
  allocate,
  profile: () => undefined,
  waitIdle: () => undefined,
};
