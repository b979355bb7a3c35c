import type { Module, Selector } from "../nn/index.js";
import { summarize, type TuneSummary } from "./summary.js";

/** Lets all parameters learn: full fine-tuning. (Weights in few bits, which are no parameters, stay.) Weights in bf16 or f16 learn too, but round away small steps: load in f32. */
export function full(model: Module): TuneSummary {
  model.requiresGrad(true);
  return summarize(model);
}

/**
 * Lets only the selected modules or parameters learn, for example a classifier over frozen features. Throws `argument` when the selector means none.
 * @example
 * tune.head(model, "classifier");
 */
export function head(model: Module, selector: Selector): TuneSummary {
  const before = model.parameters().map((parameter) => [parameter, parameter.requiresGrad] as const);
  model.requiresGrad(false);
  try {
    return summarize(model, model.unfreeze(selector));
  } catch (error) {
    for (const [parameter, on] of before) parameter.requiresGrad = on;
    throw error;
  }
}
