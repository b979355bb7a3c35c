import { GraftError } from "../base/index.js";
import { Tensor } from "../graph/index.js";
import type { TextInputs, TextOutput } from "../models/index.js";
import type { Module } from "../nn/index.js";

/** What a text model gives. Throws `argument` for a model of another kind. */
export function outputOf(model: Module, inputIds: Tensor, inputs?: TextInputs): TextOutput {
  const output: unknown = (model.forward as (inputIds: Tensor, inputs?: TextInputs) => unknown)(inputIds, inputs);
  if (output instanceof Tensor || typeof output !== "object" || output === null || !("logits" in output)) {
    throw new GraftError("argument", `train: ${model.constructor.name}.forward does not give { logits }. Pass a language model (models.load, models.create), or use train.fit with a step of your own.`);
  }
  return output as TextOutput;
}
