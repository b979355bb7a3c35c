import { GraftError, type ErrorCode } from "../../base/index.js";
import { allocate, bytesPerElement, viewBytes, type TypedArray } from "../../graph/index.js";
import { encodePlan, type Plan } from "../../plan/index.js";
import type { Backend, LoadedPlan } from "../backend.js";
import type { Addon } from "./addon.js";

export { loadAddon, type Addon } from "./addon.js";

/** Smaller results live on the JavaScript heap: an external buffer costs more than they are worth. */
const externalFrom = 4096;

/** What went wrong inside a kernel, as the error that a user sees. */
function translate(error: unknown): Error {
  const { message, code } = error as { message: string; code?: string };
  if (code !== "GRAFT_NATIVE") return error as Error;
  const kind: ErrorCode = /out of range/.test(message) ? "index" : /working memory|could not be had/.test(message) ? "memory" : /singular|not positive definite/.test(message) ? "numeric" : "backend";
  return new GraftError(kind, message);
}

class NativePlan implements LoadedPlan {
  private readonly handle: object;

  constructor(private readonly addon: Addon, plan: Plan) {
    const { code, names } = encodePlan(plan);
    try {
      this.handle = addon.loadPlan(code, names);
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

/** The C++ kernels through Node-API. */
export function cpuBackend(addon: Addon): Backend {
  const kernels = new Map<string, boolean>();
  const has = (name: string): boolean => {
    let known = kernels.get(name);
    if (known === undefined) kernels.set(name, (known = addon.hasKernel(name)));
    return known;
  };
  return {
    name: "cpu",
    fuses: true,
    get description() {
      return `cpu (${addon.isa()}, ${addon.threads()} thread${addon.threads() === 1 ? "" : "s"})`;
    },
    supports(op, inputs, attrs, outputs) {
      const call = op.kernel?.(inputs, attrs, outputs);
      return call !== undefined && has(call.name);
    },
    load: (plan) => new NativePlan(addon, plan),
    allocate(dtype, length) {
      const bytes = length * bytesPerElement(dtype);
      return bytes < externalFrom ? allocate(dtype, length) : viewBytes(dtype, addon.allocate(bytes), 0, length);
    },
    profile: (on) => addon.setProfile(on),
    waitIdle: () => addon.waitIdle(),
  };
}
