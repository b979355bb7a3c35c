import { defineOp, promote, recordMany, type Spec, type Tensor } from "../graph/index.js";
import { cat } from "./join.js";
import { linear, matmul } from "./matmul.js";
import { flip, reshape, transpose } from "./movement.js";
import { add, cast, mul, relu, sigmoid, sub, tanh } from "./scalar.js";
import { unsqueeze } from "./shape.js";
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

type RecurrentAttrs = { readonly cell: Cell; readonly bias: boolean };

/** A bias of one network, or of several, where `x` is [..., B, gates * H]. */
const addBias = (x: Tensor, bias: Tensor | undefined): Tensor => (bias === undefined ? x : add(x, bias.ndim === 1 ? bias : unsqueeze(bias, -2)));

/** h W_hh^T + b_hh, of one network or of several side by side: h [..., B, H], W_hh [..., gates * H, H], b_hh [..., gates * H]. */
const fromStateOf = (h: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor => addBias(matmul(h, transpose(weight)), bias);

/**
 * [fromInput [T, B, gates * H], W_hh [gates * H, H], b_hh [gates * H]?, first state(s) [B, H]] -> [h of all steps [T, B, H], last state(s)]. One node, so that
 * recording a long sequence costs no more than a short one; the compiler records its steps, and those of its gradient. Networks side by side, which go
 * through their steps together, are a dim of all of these: before B, before gates * H.
 */
const recurrentOp = defineOp<RecurrentAttrs>({
  name: "recurrent",
  trait: "opaque",
  infer: ([fromInput, weight, ...rest], { bias }) => {
    const states = rest.slice(bias ? 1 : 0).map(({ shape, dtype }): Spec => ({ shape, dtype }));
    return [{ shape: [...fromInput.shape.slice(0, -1), weight.shape[weight.shape.length - 1]], dtype: fromInput.dtype }, ...states];
  },
  composite: ([fromInput, weight, ...rest], { cell, bias }) => {
    let state: CellState = rest.slice(bias ? 1 : 0);
    const outputs: Tensor[] = [];
    for (let t = 0; t < fromInput.shape[0]; t++) {
      state = cells[cell](select(fromInput, 0, t), fromStateOf(state[0], weight, bias ? rest[0] : undefined), state);
      outputs.push(state[0]);
    }
    return [stack(outputs, 0), ...state];
  },
});

/** What a layer reads: weights as in PyTorch, [gates * H, in], [gates * H, H], [gates * H]; with two directions each with a dim of 2 before. */
export interface RecurrentWeights {
  readonly input: Tensor;
  readonly state: Tensor;
  readonly inputBias?: Tensor;
  readonly stateBias?: Tensor;
}

/** Where a cell adds both sides before anything else, one bias is as good as two, and is added to all steps at once. */
const addsFirst = (cell: Cell): boolean => cell !== "gru";

/** x W_ih^T with the biases that all steps add. */
const sharesOf = (cell: Cell, product: Tensor, { inputBias, stateBias }: RecurrentWeights): Tensor => addBias(addBias(product, inputBias), addsFirst(cell) ? stateBias : undefined);

/** All steps of a prepared input. */
function steps(cell: Cell, fromInput: Tensor, { state: weight, stateBias }: RecurrentWeights, first: CellState): { output: Tensor; state: CellState } {
  const apart = stateBias === undefined || addsFirst(cell) ? [] : [stateBias];
  const inputs = [fromInput, weight, ...apart, ...first];
  const dtype = inputs.map((input) => input.dtype).reduce(promote); // what the steps would come to
  const [output, ...state] = recordMany(recurrentOp, inputs.map((input) => cast(input, dtype)), { cell, bias: apart.length > 0 });
  return { output, state };
}

/** One layer from the first step to the last: x [T, B, in] with T of at least 1, first state(s) [B, H] -> h of all steps [T, B, H], and the state behind the last one. */
export function recurrent(cell: Cell, x: Tensor, weights: RecurrentWeights, first: CellState): { output: Tensor; state: CellState } {
  return steps(cell, sharesOf(cell, linear(x, weights.input), weights), weights, first); // the input's share of all steps in one product: [T, B, gates * H]
}

/**
 * The same in both directions, which take each step together: the second one reads x from its end. First state(s) [2, B, H] -> [T, B, 2 H], first
 * direction first, and the states behind the last step of each, [2, B, H].
 */
export function recurrentBothWays(cell: Cell, x: Tensor, weights: RecurrentWeights, first: CellState): { output: Tensor; state: CellState } {
  const [T, B, width] = x.shape;
  const both = reshape(stack([x, flip(x, [0])], 0), [2, T * B, width]);
  const shares = sharesOf(cell, matmul(both, transpose(weights.input)), weights);
  const { output, state } = steps(cell, transpose(reshape(shares, [2, T, B, shares.shape[2]]), 0, 1), weights, first);
  return { output: cat([select(output, 1, 0), flip(select(output, 1, 1), [0])], 2), state };
}
