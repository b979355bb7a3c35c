import type { Module } from "./module.js";

/**
 * Remembers which modules of a model are in training mode. The function that is returned puts that back.
 * @example
 * const restore = nn.rememberModes(model);
 * model.eval();
 * try { await use(model); } finally { restore(); }
 */
export function rememberModes(model: Module): () => void {
  const modes = model.modules().map((module) => [module, module.training] as const);
  return () => {
    for (const [module, training] of modes) module.training = training;
  };
}
