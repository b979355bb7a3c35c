import { sizeOf } from "../graph/index.js";
import type { Module } from "../nn/index.js";
import { QuantLinear } from "./quant-linear.js";

/** Which part of a model learns; `String(summary)` is PEFT's sentence. */
export interface TuneSummary {
  /** Values in parameters that learn. */
  readonly trainable: number;
  /** Values in all parameters, those of layers in few bits included. */
  readonly parameters: number;
  readonly percent: number;
  /** Paths of the layers that were changed. */
  readonly modules: readonly string[];
  toString(): string;
}

const grouped = (n: number): string => n.toLocaleString("en-US");

/** Counts what learns in a model. */
export function summarize(model: Module, modules: readonly string[] = []): TuneSummary {
  let [trainable, parameters] = [0, 0];
  for (const parameter of model.parameters()) {
    parameters += sizeOf(parameter.shape);
    if (parameter.requiresGrad) trainable += sizeOf(parameter.shape);
  }
  for (const module of model.modules()) if (module instanceof QuantLinear) parameters += module.inFeatures * module.outFeatures;
  const percent = parameters === 0 ? 0 : (100 * trainable) / parameters;
  return { trainable, parameters, percent, modules, toString: () => `trainable params: ${grouped(trainable)} || all params: ${grouped(parameters)} || trainable%: ${percent.toFixed(4)}` };
}
