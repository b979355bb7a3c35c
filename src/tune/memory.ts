import { GraftError, didYouMean } from "../base/index.js";
import { bytesPerElement, computeDType, type Tensor } from "../graph/index.js";
import type { Module } from "../nn/index.js";

/** Bytes that training a model takes beside activations; `String(report)` is one line. */
export interface MemoryReport {
  /** Parameters and buffers. */
  readonly weights: number;
  /** A gradient per parameter that learns. */
  readonly gradients: number;
  readonly optimizer: number;
  readonly total: number;
  toString(): string;
}

const stateBytes = (x: Tensor): number => bytesPerElement(computeDType(x.dtype));

/** State per parameter: so many tensors of its shape, or a number of values. */
const states: Readonly<Record<string, (x: Tensor) => number>> = {
  sgd: () => 0,
  "sgd-momentum": (x) => x.size,
  rmsprop: (x) => x.size,
  adagrad: (x) => x.size,
  adadelta: (x) => 2 * x.size,
  adam: (x) => 2 * x.size,
  adamw: (x) => 2 * x.size,
  adamax: (x) => 2 * x.size,
  nadam: (x) => 2 * x.size,
  radam: (x) => 2 * x.size,
  rprop: (x) => 2 * x.size,
  lion: (x) => x.size,
  muon: (x) => (x.ndim === 2 ? 1 : 2) * x.size, // what is no matrix is left to Adam
  // the square of a matrix is kept as one row and one column
  adafactor: (x) => (x.ndim < 2 ? x.size : x.size / x.shape[x.ndim - 1] + x.size / x.shape[x.ndim - 2]),
};

/**
 * What a model in its present state (frozen or not, with adapters, in few bits) takes in training with an optimiser: weights, gradients and optimiser state. Activations, which depend on
 * batch and length, come on top (`train.inspect` counts them).
 *
 * Throws `argument` for an optimiser that is not known.
 * @example
 * tune.memory(model, "adamw").total;
 */
export function memory(model: Module, optimizer = "adamw"): MemoryReport {
  const name = optimizer.toLowerCase();
  if (!Object.hasOwn(states, name)) throw new GraftError("argument", `memory: there is no optimizer ${JSON.stringify(optimizer)}.${didYouMean(name, Object.keys(states))} Known: ${Object.keys(states).join(", ")}.`);
  const learning = model.parameters().filter(({ requiresGrad }) => requiresGrad);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const weights = sum([...model.parameters(), ...model.buffers()].map(({ nbytes }) => nbytes));
  const gradients = sum(learning.map(({ nbytes }) => nbytes));
  const state = sum(learning.map((x) => states[name](x) * stateBytes(x)));
  const total = weights + gradients + state;
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return { weights, gradients, optimizer: state, total, toString: () => `${mib(total)}: weights ${mib(weights)}, gradients ${mib(gradients)}, optimizer ${mib(state)}` };
}
