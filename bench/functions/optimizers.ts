import { each, normal } from "./declare.js";

const parameters = Array.from({ length: 32 }, () => normal(256, 128));

/** An update of many parameters, whose gradients are there. */
export const optimizers = each("sgd sgd_momentum adam adamw rmsprop adagrad nadam radam adamax adadelta muon clip_grad_norm", ...parameters)
  .map((declared) => ({ ...declared, gradient: false }));
