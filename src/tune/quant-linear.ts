import { GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { F, type QuantMatrix } from "../ops/index.js";
import * as nn from "../nn/index.js";
import { quantize, type QuantizeOptions } from "./quantize.js";

/**
 * A linear layer whose frozen weight is stored in blocks of few bits: y = x W^T + b, or x W + b in the place of a `TransposedLinear`. The state dict holds `codes`,
 * `scales` and `second` instead of `weight`.
 * @example
 * model.replace("layers.**", (layer) => tune.QuantLinear.of(layer as nn.Linear, { type: "int8" }));
 */
export class QuantLinear extends nn.Module {
  codes: Tensor;
  scales: Tensor;
  second: Tensor;
  book: Tensor;
  bias: nn.Parameter | null;
  override nonPersistentBuffers: ReadonlySet<string> = new Set(["book"]);
  private readonly rows: number;
  private readonly columns: number;
  private readonly bits: 4 | 8;
  readonly blockSize: number;

  constructor(
    matrix: QuantMatrix,
    bias: nn.Parameter | null = null,
    /** Whether the matrix is [in, out]. */
    readonly transposed = false,
  ) {
    super();
    ({ codes: this.codes, scales: this.scales, second: this.second, book: this.book, rows: this.rows, columns: this.columns, bits: this.bits, blockSize: this.blockSize } = matrix);
    if (bias !== null && bias.size !== this.outFeatures) throw new GraftError("shape", `QuantLinear: the bias is ${showShape(bias.shape)}, the layer has ${this.outFeatures} outputs.`);
    this.bias = bias;
  }

  /** The same layer in few bits; it takes over the bias. */
  static of(layer: nn.Linear | nn.TransposedLinear, options: QuantizeOptions = {}): QuantLinear {
    return new QuantLinear(quantize(layer.weight, options), layer.bias, layer instanceof nn.TransposedLinear);
  }

  /** What `models.save` tells the user. */
  get savedBy(): string {
    return "Bring the weights back to f32 with await tune.mergeAndUnload(model) (which merges an adapter too), or save an adapter alone with tune.savePeft.";
  }
  get inFeatures(): number {
    return this.transposed ? this.rows : this.columns;
  }
  get outFeatures(): number {
    return this.transposed ? this.columns : this.rows;
  }

  /** The stored matrix, as `F.quantLinear` takes it. */
  get matrix(): QuantMatrix {
    const { rows, columns, bits, blockSize, codes, second, book } = this;
    const scales = this.scales.dtype === "u8" ? this.scales : F.cast(this.scales, "f32"); // `to("bf16")` may have rounded them
    return { rows, columns, bits, blockSize, codes, scales, second: F.cast(second, "f32"), book: F.cast(book, "f32") };
  }

  /** x W^T, without the bias. */
  product(x: Tensor): Tensor {
    return F.quantLinear(x, this.matrix, { transposed: this.transposed });
  }

  forward(x: Tensor): Tensor {
    const product = this.product(x);
    return this.bias ? F.add(product, this.bias) : product;
  }
}
