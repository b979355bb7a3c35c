import { GraftError } from "../base/index.js";
import type { Module } from "../nn/index.js";

/** A module that stands in another's place while a model is tuned, and so has no place in its files: it says how such a model is saved. */
interface StandIn {
  readonly savedBy?: unknown;
}

/** Throws `state` for a model with adapters or layers in few bits: a file of its weights would not load as what its config says. */
export function checkPlain(op: string, model: Module): void {
  for (const [path, module] of model.namedModules()) {
    const { savedBy } = module as StandIn;
    if (typeof savedBy === "string") throw new GraftError("state", `${op}: ${path || "the model"} is a ${module.constructor.name}, so the weights are not those of ${model.constructor.name}. ${savedBy}`);
  }
}
