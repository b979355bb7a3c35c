import { checkNumber, checkOptions } from "../../base/index.js";
import { Tensor } from "../../graph/index.js";
import { currentBackend } from "../device.js";
import { realize, runsEnded } from "../realize.js";
import { ModulePaths, type HasModules } from "./paths.js";
import { Profile } from "./profile.js";
import { openSession, type Session } from "./session.js";

/** How many steps are looked at. */
export interface ProfileSteps {
  /** Steps that are measured. Default: 10. */
  readonly steps?: number;
  /** Steps before them, in which plans and JavaScript are compiled. Default: 10. */
  readonly warmup?: number;
}

/** Options of {@link profile}. */
export interface ProfileOptions extends ProfileSteps {
  /** The model whose paths name the modules. Default: paths begin at the outermost module that is called. */
  readonly model?: HasModules;
}

/** Checks the options that say how many steps there are. */
export function checkSteps(op: string, { steps = 10, warmup = 10 }: ProfileSteps): Required<ProfileSteps> {
  checkNumber(op, "steps", steps, { min: 1, whole: true });
  checkNumber(op, "warmup", warmup, { min: 0, whole: true });
  return { steps, warmup };
}

/** A session, and what makes a profile of what it has seen. */
export function openProfile(op: string, warmup: number, model?: HasModules): { readonly session: Session; readonly finish: () => Profile } {
  const session = openSession(op);
  return { session, finish: () => new Profile(session.steps, currentBackend().description, warmup, new ModulePaths(model)) };
}

/**
 * Calls `step` some times and tells where its time goes: per kernel, per module, and outside of kernels. Tensors that it returns are computed. Steps go on as
 * they would without it; profiles cannot be nested.
 *
 * Throws `argument` for options out of range, `state` inside another profile, and what a step throws.
 * @example
 * const found = await profile(async () => {
 *   optimizer.zeroGrad();
 *   F.crossEntropy(model.forward(x), y).backward();
 *   await optimizer.step();
 * }, { model });
 * console.log(`${found}`);
 * await io.writeFileAtomic("trace.json", JSON.stringify(found.trace())); // for ui.perfetto.dev
 */
export async function profile(step: (index: number) => unknown, options: ProfileOptions = {}): Promise<Profile> {
  checkOptions("profile", options, ["steps", "warmup", "model"]);
  const { steps, warmup } = checkSteps("profile", options);
  const { session, finish } = openProfile("profile", warmup, options.model);
  try {
    for (let i = 0; i < warmup + steps; i++) {
      if (i >= warmup) session.begin();
      const result: unknown = await step(i);
      const computed = (Array.isArray(result) ? (result as readonly unknown[]) : [result]).filter((value) => value instanceof Tensor);
      if (computed.length > 0) await realize(...computed);
      await runsEnded();
      session.end();
    }
    return finish();
  } finally {
    session.close();
  }
}
