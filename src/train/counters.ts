import type { Tensor } from "../graph/index.js";
import { Optimizer, type BaseOptions, type EMA, type ParamState } from "../optim/index.js";
import type { TrainOptimizer } from "./types.js";

const numbersOf = (state: ParamState): [string, number][] => Object.entries(state).filter((entry): entry is [string, number] => typeof entry[1] === "number");

/**
 * Remembers what optimiser and average count on the host (steps, products of rates). The function that is returned puts it back: for an update whose tensors were held back or
 * rolled back. State tensors made meanwhile stay; they have their first values.
 */
export function rememberCounters({ optimizer, ema }: { readonly optimizer: TrainOptimizer; readonly ema?: EMA }): () => void {
  const states = optimizer instanceof Optimizer ? (optimizer as Optimizer<BaseOptions>).state : new Map<Tensor, ParamState>();
  const before = new Map([...states].map(([param, state]) => [param, new Map(numbersOf(state))]));
  const updates = ema?.updates;
  return () => {
    for (const [param, state] of states) {
      for (const [name] of numbersOf(state)) {
        const number = before.get(param)?.get(name);
        if (number === undefined) delete state[name];
        else state[name] = number;
      }
    }
    if (ema !== undefined) ema.updates = updates!;
  };
}
