import { checkChoice, checkOptions, GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { F, zeros } from "../ops/index.js";
import { checkSize, uniformParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** What passes from one step to the next: [h], or [h, c] for LSTM. */
export type CellState = readonly Tensor[];

/**
 * One recurrent step. `fromInput` is x W_ih^T + b_ih, which does not depend on the step before and so is made for all steps at once;
 * `fromState` is h W_hh^T + b_hh. Both are [B, gates * H], the gates side by side in PyTorch's order.
 */
export type Step = (fromInput: Tensor, fromState: Tensor, state: CellState) => CellState;

const gate = (x: Tensor, index: number, count: number): Tensor => {
  const size = x.shape[x.ndim - 1] / count;
  return F.narrow(x, -1, index * size, size);
};

/** h' = tanh(x W_ih^T + b_ih + h W_hh^T + b_hh), or with relu. */
export const rnnStep =
  (nonlinearity: "tanh" | "relu"): Step =>
  (fromInput, fromState) => {
    const sum = F.add(fromInput, fromState);
    return [nonlinearity === "tanh" ? F.tanh(sum) : F.relu(sum)];
  };

/** Hochreiter and Schmidhuber 1997: gates i, f, g, o; c' = f c + i g, h' = o tanh(c'). */
export const lstmStep: Step = (fromInput, fromState, [, c]) => {
  const sum = F.add(fromInput, fromState);
  const [i, f, o] = [0, 1, 3].map((k) => F.sigmoid(gate(sum, k, 4)));
  const g = F.tanh(gate(sum, 2, 4));
  const cell = F.add(F.mul(f, c), F.mul(i, g));
  return [F.mul(o, F.tanh(cell)), cell];
};

/** Cho et al. 2014: gates r, z, n; n = tanh(x_n + r h_n), h' = (1 - z) n + z h. */
export const gruStep: Step = (fromInput, fromState, [h]) => {
  const [r, z] = [0, 1].map((k) => F.sigmoid(F.add(gate(fromInput, k, 3), gate(fromState, k, 3))));
  const n = F.tanh(F.add(gate(fromInput, 2, 3), F.mul(r, gate(fromState, 2, 3))));
  return [F.add(F.mul(F.sub(1, z), n), F.mul(z, h))];
};

/** Options of the cells. */
export interface CellOptions {
  /** Default: true. */
  readonly bias?: boolean;
  /** `RNNCell` only. Default: "tanh". */
  readonly nonlinearity?: "tanh" | "relu";
}

/** Weights [gates * H, in] and [gates * H, H], uniform in +-1/sqrt(H) at the start. */
abstract class Cell extends Module {
  weight_ih: Parameter;
  weight_hh: Parameter;
  bias_ih: Parameter | null;
  bias_hh: Parameter | null;

  constructor(
    name: string,
    gates: number,
    readonly inputSize: number,
    readonly hiddenSize: number,
    bias: boolean,
  ) {
    super();
    const bound = 1 / Math.sqrt(checkSize(name, "hiddenSize", hiddenSize));
    const rows = gates * hiddenSize;
    this.weight_ih = uniformParameter([rows, checkSize(name, "inputSize", inputSize)], bound);
    this.weight_hh = uniformParameter([rows, hiddenSize], bound);
    this.bias_ih = bias ? uniformParameter([rows], bound) : null;
    this.bias_hh = bias ? uniformParameter([rows], bound) : null;
  }

  /** One step from x [B, in] or [in]; a state that is not given is 0. */
  protected run(step: Step, x: Tensor, state: readonly (Tensor | undefined)[]): CellState {
    const shape = [...x.shape.slice(0, -1), this.hiddenSize];
    const full = state.map((s) => s ?? zeros(shape, { dtype: x.dtype }));
    for (const s of full) {
      if (s.shape.join() !== shape.join()) throw new GraftError("shape", `${this.constructor.name}: the state is ${showShape(s.shape)}, x is ${showShape(x.shape)}. The state must be ${showShape(shape)}.`);
    }
    return step(F.linear(x, this.weight_ih, this.bias_ih), F.linear(full[0], this.weight_hh, this.bias_hh), full);
  }
}

/** One step of {@link RNN}: x [B, in], h [B, H] -> h' [B, H]. */
export class RNNCell extends Cell {
  readonly nonlinearity: "tanh" | "relu";
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    checkOptions("RNNCell", options, ["bias", "nonlinearity"]);
    super("RNNCell", 1, inputSize, hiddenSize, options.bias ?? true);
    this.nonlinearity = checkChoice("RNNCell", "nonlinearity", options.nonlinearity ?? "tanh", ["tanh", "relu"]);
  }
  forward(x: Tensor, h?: Tensor): Tensor {
    return this.run(rnnStep(this.nonlinearity), x, [h])[0];
  }
}

/** One step of {@link LSTM}: x [B, in], [h, c] each [B, H] -> [h', c']. */
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: Omit<CellOptions, "nonlinearity"> = {}) {
    checkOptions("LSTMCell", options, ["bias"]);
    super("LSTMCell", 4, inputSize, hiddenSize, options.bias ?? true);
  }
  forward(x: Tensor, state?: readonly [Tensor, Tensor]): [Tensor, Tensor] {
    const [h, c] = this.run(lstmStep, x, [state?.[0], state?.[1]]);
    return [h, c];
  }
}

/** One step of {@link GRU}: x [B, in], h [B, H] -> h' [B, H]. */
export class GRUCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: Omit<CellOptions, "nonlinearity"> = {}) {
    checkOptions("GRUCell", options, ["bias"]);
    super("GRUCell", 3, inputSize, hiddenSize, options.bias ?? true);
  }
  forward(x: Tensor, h?: Tensor): Tensor {
    return this.run(gruStep, x, [h])[0];
  }
}
