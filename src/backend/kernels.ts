import { GraftError, type ErrorCode } from "../base/index.js";
import type { DType, TypedArray } from "../graph/index.js";
import { encodePlan, type Plan } from "../plan/index.js";
import type { Addon } from "./addon.js";
import type { Backend, LoadedPlan } from "./backend.js";

/** What went wrong inside a kernel, as the error that a user sees. */
function translate(error: unknown): Error {
  const { message, code } = error as { message: string; code?: string };
  if (code !== "GRAFT_NATIVE") return error as Error;
  const kind: ErrorCode = /out of range/.test(message) ? "index" : /working memory|could not be had/.test(message) ? "memory" : /singular|not positive definite/.test(message) ? "numeric" : "backend";
  return new GraftError(kind, message);
}

class KernelPlan implements LoadedPlan {
  private readonly handle: object;

  constructor(private readonly addon: Addon, plan: Plan) {
    const { code, names } = encodePlan(plan);
    try {
      this.handle = addon.loadPlan(code, names, plan.slots.map(({ kind }) => kind));
    } catch (error) {
      throw translate(error);
    }
  }

  async run(slots: readonly TypedArray[], checkFinite: boolean): Promise<number> {
    try {
      return stepOf(await this.addon.run(this.handle, slots, checkFinite));
    } catch (error) {
      throw translate(error);
    }
  }

  runSync(slots: readonly TypedArray[], checkFinite: boolean): number {
    try {
      return stepOf(this.addon.runSync(this.handle, slots, checkFinite));
    } catch (error) {
      throw translate(error);
    }
  }

  times(): Float64Array {
    return this.addon.planTimes(this.handle);
  }
}

/** The addon returns 0, or -(step + 1) for the first step with a result that is not finite. */
const stepOf = (result: number): number => (result === 0 ? -1 : -result - 1);

/** What differs between the native kernels and those in WebAssembly, beside the addon itself. */
export interface KernelMemory extends Pick<Backend, "memoryLimit" | "adopt"> {
  allocate(dtype: DType, length: number): TypedArray;
}

/** The C++ kernels as a backend. */
export function kernelBackend(name: string, addon: Addon, memory: KernelMemory): Backend {
  const kernels = new Map<string, boolean>();
  const has = (kernel: string): boolean => {
    let known = kernels.get(kernel);
    if (known === undefined) kernels.set(kernel, (known = addon.hasKernel(kernel)));
    return known;
  };
  return {
    name,
    fuses: true,
    allocate: memory.allocate,
    adopt: memory.adopt,
    get memoryLimit() {
      return memory.memoryLimit;
    },
    get description() {
      return `${name} (${addon.isa()}, ${addon.threads()} thread${addon.threads() === 1 ? "" : "s"})`;
    },
    supports(op, inputs, attrs, outputs) {
      const call = op.kernel?.(inputs, attrs, outputs);
      return call !== undefined && has(call.name);
    },
    load: (plan) => new KernelPlan(addon, plan),
    profile: (on) => addon.setProfile(on),
    waitIdle: () => addon.waitIdle(),
  };
}
