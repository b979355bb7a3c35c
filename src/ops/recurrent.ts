import { defineOp, promote, recordMany, type Spec, type Tensor } from "../graph/index.js";
import { linear } from "./matmul.js";
import { add, cast, mul, relu, sigmoid, sub, tanh } from "./scalar.js";
import { narrow, select, stack } from "./split.js";

/** What passes from one step to the next: [h], or [h, c] for LSTM. */
export type CellState = readonly Tensor[];

/**
 * One recurrent step. `fromInput` is x W_ih^T + b_ih, which does not depend on the step before and so is made for all steps at once;
 * `fromState` is h W_hh^T + b_hh. Both are [B, gates * H], the gates side by side in PyTorch's order.
 */
type Step = (fromInput: Tensor, fromState: Tensor, state: CellState) => CellState;

const gate = (x: Tensor, index: number, count: number): Tensor => {
  const size = x.shape[x.ndim - 1] / count;
  return narrow(x, -1, index * size, size);
};

/** The recurrent steps by name. */
export const cells = {
  /** h' = tanh(x W_ih^T + b_ih + h W_hh^T + b_hh). */
  tanh: (fromInput, fromState) => [tanh(add(fromInput, fromState))],
  /** The same with relu. */
  relu: (fromInput, fromState) => [relu(add(fromInput, fromState))],
  /** Hochreiter and Schmidhuber 1997: gates i, f, g, o; c' = f c + i g, h' = o tanh(c'). */
  lstm: (fromInput, fromState, [, c]) => {
    const sum = add(fromInput, fromState);
    const [i, f, o] = [0, 1, 3].map((k) => sigmoid(gate(sum, k, 4)));
    const g = tanh(gate(sum, 2, 4));
    const cell = add(mul(f, c), mul(i, g));
    return [mul(o, tanh(cell)), cell];
  },
  /** Cho et al. 2014: gates r, z, n; n = tanh(x_n + r h_n), h' = (1 - z) n + z h. */
  gru: (fromInput, fromState, [h]) => {
    const [r, z] = [0, 1].map((k) => sigmoid(add(gate(fromInput, k, 3), gate(fromState, k, 3))));
    const n = tanh(add(gate(fromInput, 2, 3), mul(r, gate(fromState, 2, 3))));
    return [add(mul(sub(1, z), n), mul(z, h))];
  },
} satisfies Record<string, Step>;

/** The name of a recurrent step. */
export type Cell = keyof typeof cells;

type RecurrentAttrs = { readonly cell: Cell; readonly backwards: boolean; readonly bias: boolean };

/**
 * [fromInput [T, B, gates * H], W_hh [gates * H, H], b_hh [gates * H]?, first state(s) [B, H]] -> [h of all steps [T, B, H], last state(s)]. One node, so that
 * recording a long sequence costs no more than a short one; the compiler records its steps, and those of its gradient.
 */
const recurrentOp = defineOp<RecurrentAttrs>({
  name: "recurrent",
  trait: "opaque",
  infer: ([fromInput, weight, ...rest], { bias }) => {
    const states = rest.slice(bias ? 1 : 0).map(({ shape, dtype }): Spec => ({ shape, dtype }));
    return [{ shape: [...fromInput.shape.slice(0, 2), weight.shape[1]], dtype: fromInput.dtype }, ...states];
  },
  composite: ([fromInput, weight, ...rest], { cell, backwards, bias }) => {
    const T = fromInput.shape[0];
    let state: CellState = rest.slice(bias ? 1 : 0);
    const outputs = new Array<Tensor>(T);
    for (let i = 0; i < T; i++) {
      const t = backwards ? T - 1 - i : i;
      state = cells[cell](select(fromInput, 0, t), linear(state[0], weight, bias ? rest[0] : null), state);
      outputs[t] = state[0];
    }
    return [stack(outputs, 0), ...state];
  },
});

/** One layer in one direction: `fromInput` [T, B, gates * H] with T of at least 1 -> h of all steps [T, B, H], and the state behind the last one. */
export function recurrent(cell: Cell, fromInput: Tensor, weight: Tensor, bias: Tensor | undefined, first: CellState, backwards: boolean): { output: Tensor; state: CellState } {
  // Where a cell adds both sides before anything else, one bias is as good as two, and is added to all steps at once.
  const apart = bias !== undefined && cell === "gru" ? [bias] : [];
  const sides = bias !== undefined && cell !== "gru" ? add(fromInput, bias) : fromInput;
  const inputs = [sides, weight, ...apart, ...first];
  const dtype = inputs.map((input) => input.dtype).reduce(promote); // what the steps would come to
  const [output, ...state] = recordMany(recurrentOp, inputs.map((input) => cast(input, dtype)), { cell, backwards, bias: apart.length > 0 });
  return { output, state };
}
