import { GraftError } from "../base/index.js";
import { noGrad, type Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { realizeSync } from "../runtime/index.js";
import * as nn from "../nn/index.js";
import { adapterDType, denseWeight, isTransposed, product, type BaseLayer } from "./base-layer.js";
import { QuantLinear } from "./quant-linear.js";

/** How the two factors of an adapter start: "kaiming" (A uniform as a linear layer's weight, B zero), "gaussian" (A normal with standard deviation 1/r, B zero), "random" (neither is zero). */
export type InitLora = "kaiming" | "gaussian" | "random";

/** What one adapter adds to one layer. */
export interface LayerAdapter {
  readonly r: number;
  readonly alpha: number;
  /** The product is scaled by alpha / sqrt(r) instead of alpha / r. */
  readonly rsLora: boolean;
  readonly dora: boolean;
  readonly dropout: number;
}

/** alpha / r; with rsLora alpha / sqrt(r) (Kalajdzievski, "A rank stabilization scaling factor", 2023). */
export const scalingOf = ({ alpha, r, rsLora }: LayerAdapter): number => alpha / (rsLora ? Math.sqrt(r) : r);

/** How a model with adapters is saved. */
export const adaptersSavedBy = "Save the adapter alone with tune.savePeft, or make one model of both with await tune.mergeAndUnload(model).";

/** The learnt length of each row of W + s B A (DoRA), and the squared lengths of W's rows, which stay. */
class Magnitude extends nn.Module {
  weight: nn.Parameter;
  baseSquares: Tensor;
  override nonPersistentBuffers: ReadonlySet<string> = new Set(["baseSquares"]);

  constructor(weight: Tensor, baseSquares: Tensor) {
    super();
    this.weight = new nn.Parameter(weight);
    this.baseSquares = baseSquares;
  }

  forward(): Tensor {
    return this.weight;
  }
}

/**
 * A linear layer with low-rank adapters, of which one or none is in use: y = x W^T + b + s (dropout(x) A^T) B^T (Hu et al., "LoRA", 2021). With DoRA (Liu et al., 2024) the rows of
 * V = W + s B A are given learnt lengths: y = x (m V / |V|)^T + b, where |V| is a constant for the gradient. Names of parameters are those of PEFT.
 */
export class LoraLayer extends nn.Module {
  base_layer: BaseLayer;
  lora_A = new nn.ModuleDict<nn.Linear>();
  lora_B = new nn.ModuleDict<nn.Linear>();
  lora_magnitude_vector = new nn.ModuleDict<Magnitude>();
  lora_dropout = new nn.ModuleDict<nn.Dropout>();
  /** Weight of the base with an adapter added, while it is merged. */
  mergedWeight: Tensor | null = null;
  override nonPersistentBuffers: ReadonlySet<string> = new Set(["mergedWeight"]);
  /** Settings of the adapters by name. */
  readonly adapters = new Map<string, LayerAdapter>();
  /** Name of the adapter in use. */
  active: string | null = null;

  constructor(base: BaseLayer) {
    super();
    this.base_layer = base;
  }

  /** What `models.save` tells the user. */
  get savedBy(): string {
    return adaptersSavedBy;
  }
  get inFeatures(): number {
    return this.base_layer.inFeatures;
  }
  get outFeatures(): number {
    return this.base_layer.outFeatures;
  }

  /** Adds an adapter that is not in use yet. With DoRA the lengths are computed by `prepare`. */
  add(name: string, adapter: LayerAdapter, init: InitLora): void {
    if (this.adapters.has(name)) throw new GraftError("argument", `addAdapter: there is an adapter "${name}" already. Choose another name.`);
    const { base_layer: base } = this;
    const dtype = adapterDType(base);
    const a = new nn.Linear(base.inFeatures, adapter.r, { bias: false });
    const b = new nn.Linear(adapter.r, base.outFeatures, { bias: false });
    if (init === "gaussian") nn.init.normal(a.weight, 0, 1 / adapter.r);
    if (init !== "random") nn.init.zeros(b.weight);
    this.lora_A.set(name, a.to(dtype));
    this.lora_B.set(name, b.to(dtype));
    this.lora_dropout.set(name, new nn.Dropout(adapter.dropout));
    if (adapter.dora) this.lora_magnitude_vector.set(name, noGrad(() => this.startLengths(adapter, a.weight, b.weight)));
    this.adapters.set(name, adapter);
    for (const parameter of this.parametersOf(name)) parameter.requiresGrad = false;
    this.train(this.training);
  }

  private startLengths(adapter: LayerAdapter, a: Tensor, b: Tensor): Magnitude {
    const { base_layer: base } = this;
    const squares = F.sum(F.square(denseWeight(base)), { dim: isTransposed(base) ? 0 : 1 });
    realizeSync(squares);
    return new Magnitude(F.sqrt(this.squaredLengths(squares, a, b, scalingOf(adapter))), squares);
  }

  /**
   * |V|^2 by row for V = W + s B A, without V: |w|^2 + 2 s w (B A)^T + s^2 |B A|^2, where w A^T comes from the layer itself (so it works for stored blocks too) and
   * |b A|^2 = b (A A^T) b^T.
   */
  private squaredLengths(squares: Tensor, a: Tensor, b: Tensor, scale: number): Tensor {
    const mixed = F.transpose(product(this.base_layer, a)); // [out, r]
    const own = F.matmul(b, F.matmul(a, F.transpose(a)));
    return F.add(squares, F.sum(F.mul(F.add(F.mul(mixed, 2 * scale), F.mul(own, scale * scale)), b), { dim: 1 }));
  }

  /** The parameters of an adapter; none when this layer does not have it. */
  parametersOf(name: string): nn.Parameter[] {
    return [this.lora_A, this.lora_B, this.lora_magnitude_vector].flatMap((part) => (part.has(name) ? part.at(name).parameters() : []));
  }

  /** Forgets an adapter. */
  remove(name: string): void {
    if (this.active === name) this.active = null;
    this.adapters.delete(name);
    for (const part of [this.lora_A, this.lora_B, this.lora_magnitude_vector, this.lora_dropout]) part.delete(name);
  }

  /** The stored matrix with the adapter in use added, in the base's dtype (f32 where that is in blocks); null where none is in use. */
  combined(): Tensor | null {
    const { active, base_layer: base } = this;
    if (active === null) return null;
    return noGrad(() => {
      const [a, b, adapter] = [this.lora_A.at(active).weight, this.lora_B.at(active).weight, this.adapters.get(active)!];
      const scale = scalingOf(adapter);
      const stored = isTransposed(base);
      const delta = F.mul(stored ? F.matmul(F.transpose(a), F.transpose(b)) : F.matmul(b, a), scale);
      let sum = F.add(denseWeight(base), delta);
      if (adapter.dora) {
        const dim = stored ? 0 : 1;
        const lengths = F.sqrt(F.sum(F.square(sum), { dim, keepdim: true }));
        sum = F.mul(sum, F.div(F.unsqueeze(this.lora_magnitude_vector.at(active).weight, dim), lengths));
      }
      return base instanceof QuantLinear ? sum : F.cast(sum, base.weight.dtype);
    });
  }

  forward(x: Tensor): Tensor {
    const { base_layer: base, active, mergedWeight } = this;
    if (mergedWeight !== null) return this.plusBias(isTransposed(base) ? F.matmul(x, mergedWeight) : F.linear(x, mergedWeight));
    if (active === null) return base.forward(x);
    const [a, b, adapter] = [this.lora_A.at(active).weight, this.lora_B.at(active).weight, this.adapters.get(active)!];
    const scale = scalingOf(adapter);
    const dropped = this.lora_dropout.at(active).forward(F.cast(x, a.dtype));
    const added = F.linear(F.mul(F.linear(dropped, a), scale), b); // scaled where it is narrow
    if (!adapter.dora) {
      const y = base.forward(x);
      return F.add(y, F.cast(added, y.dtype));
    }
    const { weight: lengths, baseSquares } = this.lora_magnitude_vector.at(active);
    const ratio = F.div(lengths, F.sqrt(this.squaredLengths(baseSquares, F.detach(a), F.detach(b), scale)));
    const plain = product(base, x);
    if (!this.training || adapter.dropout === 0) return this.plusBias(F.cast(F.mul(F.add(plain, added), ratio), x.dtype));
    // what dropout takes away, it takes from the change only: y + (m/|V| - 1) W x' + m/|V| s B A x'
    return this.plusBias(F.cast(F.add(plain, F.add(F.mul(F.sub(ratio, 1), product(base, dropped)), F.mul(ratio, added))), x.dtype));
  }

  private plusBias(y: Tensor): Tensor {
    const { bias } = this.base_layer;
    return bias ? F.add(y, bias) : y;
  }
}
