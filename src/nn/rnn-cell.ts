import { checkChoice, checkOptions, GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { cells, F, zeros, type Cell as CellName, type CellState } from "../ops/index.js";
import { checkSize, uniformParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

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
  protected run(cell: CellName, x: Tensor, state: readonly (Tensor | undefined)[]): CellState {
    const shape = [...x.shape.slice(0, -1), this.hiddenSize];
    const full = state.map((s) => s ?? zeros(shape, { dtype: x.dtype }));
    for (const s of full) {
      if (s.shape.join() !== shape.join()) throw new GraftError("shape", `${this.constructor.name}: the state is ${showShape(s.shape)}, x is ${showShape(x.shape)}. The state must be ${showShape(shape)}.`);
    }
    return cells[cell](F.linear(x, this.weight_ih, this.bias_ih), F.linear(full[0], this.weight_hh, this.bias_hh), full);
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
    return this.run(this.nonlinearity, x, [h])[0];
  }
}

/** One step of {@link LSTM}: x [B, in], [h, c] each [B, H] -> [h', c']. */
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: Omit<CellOptions, "nonlinearity"> = {}) {
    checkOptions("LSTMCell", options, ["bias"]);
    super("LSTMCell", 4, inputSize, hiddenSize, options.bias ?? true);
  }
  forward(x: Tensor, state?: readonly [Tensor, Tensor]): [Tensor, Tensor] {
    const [h, c] = this.run("lstm", x, [state?.[0], state?.[1]]);
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
    return this.run("gru", x, [h])[0];
  }
}
