import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";
import { sameShape, showShape, type Tensor } from "../graph/index.js";
import { F, recurrent, recurrentBothWays, zeros, type Cell, type CellState } from "../ops/index.js";
import { checkSize, uniformParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** Options of the recurrent networks. */
export interface RecurrentOptions {
  /** Layers on top of each other. Default: 1. */
  readonly numLayers?: number;
  /** Default: true. */
  readonly bias?: boolean;
  /** Input and output are [B, T, ...] instead of [T, B, ...]. Default: false. */
  readonly batchFirst?: boolean;
  /** Dropout behind every layer but the last. Default: 0. */
  readonly dropout?: number;
  /** A second pass from the end to the start beside the first; outputs are joined. Default: false. */
  readonly bidirectional?: boolean;
}

/** Options of {@link RNN}. */
export interface RNNOptions extends RecurrentOptions {
  /** Default: "tanh". */
  readonly nonlinearity?: "tanh" | "relu";
}

const known = ["numLayers", "bias", "batchFirst", "dropout", "bidirectional"] as const;

/** What the three networks share. Weights are uniform in +-1/sqrt(hiddenSize) at the start. */
abstract class Recurrent extends Module {
  readonly numLayers: number;
  readonly bias: boolean;
  readonly batchFirst: boolean;
  readonly dropout: number;
  readonly bidirectional: boolean;

  constructor(
    private readonly gates: number,
    readonly inputSize: number,
    readonly hiddenSize: number,
    options: RecurrentOptions,
  ) {
    super();
    const name = new.target.name;
    checkSize(name, "inputSize", inputSize);
    const bound = 1 / Math.sqrt(checkSize(name, "hiddenSize", hiddenSize));
    this.numLayers = checkSize(name, "numLayers", options.numLayers ?? 1);
    this.bias = options.bias ?? true;
    this.batchFirst = options.batchFirst ?? false;
    this.dropout = checkNumber(name, "dropout", options.dropout ?? 0, { min: 0, max: 1 });
    this.bidirectional = options.bidirectional ?? false;
    const directions = this.bidirectional ? 2 : 1;
    for (let layer = 0; layer < this.numLayers; layer++) {
      const width = layer === 0 ? inputSize : hiddenSize * directions;
      for (let direction = 0; direction < directions; direction++) {
        const suffix = `l${layer}${direction === 1 ? "_reverse" : ""}`;
        this.setField(`weight_ih_${suffix}`, uniformParameter([gates * hiddenSize, width], bound));
        this.setField(`weight_hh_${suffix}`, uniformParameter([gates * hiddenSize, hiddenSize], bound));
        if (!this.bias) continue;
        this.setField(`bias_ih_${suffix}`, uniformParameter([gates * hiddenSize], bound));
        this.setField(`bias_hh_${suffix}`, uniformParameter([gates * hiddenSize], bound));
      }
    }
  }

  /** The weight of a layer, or those of its two directions side by side; undefined for a bias that there is not. */
  private weights(name: string, layer: number): Tensor | undefined {
    const fields = this as unknown as Record<string, Parameter | undefined>;
    const [forward, backward] = [fields[`${name}_l${layer}`], fields[`${name}_l${layer}_reverse`]];
    return forward && backward ? F.stack([forward, backward], 0) : forward;
  }

  /** Runs all layers. `given` holds the first states [layers * directions, B, H]; returns the output and the last states in the same layout. */
  protected run(cell: Cell, input: Tensor, given: readonly Tensor[] | undefined, stateCount: number): { output: Tensor; states: Tensor[] } {
    const single = input.ndim === 2; // one sequence without a batch: [T, in]
    if (input.ndim !== 3 && !single) throw new GraftError("shape", `${this.constructor.name}: x is ${showShape(input.shape)}. It must be ${this.batchFirst ? "[B, T, in]" : "[T, B, in]"}, or [T, in].`);
    if (input.shape[input.ndim - 1] !== this.inputSize) throw new GraftError("shape", `${this.constructor.name}: x is ${showShape(input.shape)}; its last dim must be inputSize = ${this.inputSize}.`);
    let x = single ? F.unsqueeze(input, 1) : this.batchFirst ? F.transpose(input, 0, 1) : input; // [T, B, in]
    const [T, B] = x.shape;
    if (T === 0) throw new GraftError("shape", `${this.constructor.name}: x is ${showShape(input.shape)}, a sequence of length 0. Give at least one step.`);
    const directions = this.bidirectional ? 2 : 1;
    const stateShape = [this.numLayers * directions, B, this.hiddenSize];
    const first = given?.map((state) => {
      const full = single && state.ndim === 2 ? F.unsqueeze(state, 1) : state;
      if (!sameShape(full.shape, stateShape)) throw new GraftError("shape", `${this.constructor.name}: the state is ${showShape(state.shape)}. It must be [layers * directions, B, H] = ${showShape(stateShape)}.`);
      return full;
    });
    const last: CellState[] = [];
    for (let layer = 0; layer < this.numLayers; layer++) {
      const start = Array.from({ length: stateCount }, (_, i) => (first ? F.narrow(first[i], 0, layer * directions, directions) : zeros([directions, B, this.hiddenSize], { dtype: x.dtype })));
      const weights = { input: this.weights("weight_ih", layer)!, state: this.weights("weight_hh", layer)!, inputBias: this.weights("bias_ih", layer), stateBias: this.weights("bias_hh", layer) };
      const { output, state } = this.bidirectional ? recurrentBothWays(cell, x, weights, start) : recurrent(cell, x, weights, start.map((one) => F.squeeze(one, 0)));
      last.push(this.bidirectional ? state : state.map((one) => F.unsqueeze(one, 0)));
      x = output;
      if (this.dropout > 0 && layer < this.numLayers - 1) x = F.dropout(x, { p: this.dropout, training: this.training });
    }
    const states = Array.from({ length: stateCount }, (_, i) => F.cat(last.map((state) => state[i]), 0));
    return {
      output: single ? F.squeeze(x, 1) : this.batchFirst ? F.transpose(x, 0, 1) : x,
      states: single ? states.map((state) => F.squeeze(state, 1)) : states,
    };
  }
}

/**
 * Elman network: h_t = tanh(x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh). Returns [output, last state]: output [T, B, H * directions]
 * ([B, T, ...] with `batchFirst`), state [layers * directions, B, H].
 * @example
 * const [out, h] = new nn.RNN(10, 20, { batchFirst: true }).forward(x); // [B, T, 10] -> [B, T, 20], [1, B, 20]
 */
export class RNN extends Recurrent {
  readonly nonlinearity: "tanh" | "relu";
  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    checkOptions("RNN", options, [...known, "nonlinearity"]);
    super(1, inputSize, hiddenSize, options);
    this.nonlinearity = checkChoice("RNN", "nonlinearity", options.nonlinearity ?? "tanh", ["tanh", "relu"]);
  }
  forward(x: Tensor, h?: Tensor): [Tensor, Tensor] {
    const { output, states } = this.run(this.nonlinearity, x, h && [h], 1);
    return [output, states[0]];
  }
}

/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997). Gate order i, f, g, o. Returns [output, [h, c]].
 * @example
 * const [out, [h, c]] = new nn.LSTM(10, 20, { numLayers: 2, batchFirst: true }).forward(x);
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    checkOptions("LSTM", options, known);
    super(4, inputSize, hiddenSize, options);
  }
  forward(x: Tensor, state?: readonly [Tensor, Tensor]): [Tensor, [Tensor, Tensor]] {
    const { output, states } = this.run("lstm", x, state, 2);
    return [output, [states[0], states[1]]];
  }
}

/**
 * Gated recurrent unit (Cho et al. 2014), in PyTorch's variant: the reset gate acts behind the product. Gate order r, z, n. Returns [output, h].
 * @example
 * const [out, h] = new nn.GRU(10, 20, { bidirectional: true }).forward(x); // [T, B, 10] -> [T, B, 40], [2, B, 20]
 */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    checkOptions("GRU", options, known);
    super(3, inputSize, hiddenSize, options);
  }
  forward(x: Tensor, h?: Tensor): [Tensor, Tensor] {
    const { output, states } = this.run("gru", x, h && [h], 1);
    return [output, states[0]];
  }
}
