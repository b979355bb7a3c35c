import { GraftError } from "../../base/index.js";
import type { Module } from "../../nn/index.js";

/**
 * Switches gradient checkpointing of a text model on or off: in training, a block's inner values are not kept for the backward pass but computed again, which
 * costs one more forward pass and saves most of the memory (see `checkpoint`).
 *
 * Throws `argument` for a model whose blocks cannot be computed again.
 * @example
 * models.checkpointGradients(model);
 */
export function checkpointGradients(model: Module, on = true): void {
  const stacks = model.modules().filter((module): module is Module & { gradientCheckpointing: boolean } => "gradientCheckpointing" in module);
  if (stacks.length === 0) throw new GraftError("argument", `checkpointGradients: ${model.constructor.name} has no stack of blocks that knows gradient checkpointing. Use checkpoint() in its forward.`);
  for (const stack of stacks) stack.gradientCheckpointing = on;
}
