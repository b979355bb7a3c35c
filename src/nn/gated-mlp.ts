import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";

/** Options of {@link GatedMLP}. */
export interface GatedMLPOptions {
  /** Applied to the gate. Default: SiLU, which makes it SwiGLU. */
  readonly activation?: (x: Tensor) => Tensor;
  /** Default: false. */
  readonly bias?: boolean;
}

/**
 * down(act(gate(x)) * up(x)) (Shazeer, "GLU variants improve transformer", 2020): [..., size] -> [..., size].
 * @example
 * new nn.GatedMLP(64, 172).forward(x); // [B, T, 64] -> [B, T, 64]
 */
export class GatedMLP extends Module {
  gate_proj: Linear;
  up_proj: Linear;
  down_proj: Linear;
  private readonly activation: (x: Tensor) => Tensor;

  constructor(
    readonly size: number,
    readonly hiddenSize: number,
    { activation = F.silu, bias = false }: GatedMLPOptions = {},
  ) {
    super();
    this.gate_proj = new Linear(size, hiddenSize, { bias });
    this.up_proj = new Linear(size, hiddenSize, { bias });
    this.down_proj = new Linear(hiddenSize, size, { bias });
    this.activation = activation;
  }

  forward(x: Tensor): Tensor {
    return this.down_proj.forward(F.mul(this.activation(this.gate_proj.forward(x)), this.up_proj.forward(x)));
  }
}
