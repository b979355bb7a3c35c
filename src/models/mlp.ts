import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";
import { showShape, sizeOf, type Shape, type Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import * as nn from "../nn/index.js";
import type { OwnConfig } from "./config.js";
import { readClasses, readOptions, readShape } from "./read-config.js";
import { register } from "./registry.js";

const activations = { relu: F.relu, tanh: F.tanh, sigmoid: F.sigmoid, gelu: (x: Tensor) => F.gelu(x) } as const;

/** Sizes of {@link MLP}. */
export interface MLPOptions {
  /** Shape of one input; it is flattened. Default: [784]. */
  readonly inputShape?: Shape;
  /** Number of outputs. Default: 10. */
  readonly classes?: number;
  /** Widths of the hidden layers. Default: [128]. */
  readonly hidden?: readonly number[];
  /** Between the layers. Default: "relu". */
  readonly activation?: keyof typeof activations;
  /** Probability of dropping a hidden value while training. Default: 0. */
  readonly dropout?: number;
}

/**
 * A multilayer perceptron: linear layers with an activation between them. x [B, ...inputShape] -> [B, classes].
 *
 * Throws `argument` or `shape` for sizes that make no network.
 * @example
 * const model = new MLP({ inputShape: [2], classes: 2, hidden: [8], activation: "tanh" }); // learns XOR
 */
export class MLP extends nn.Module {
  layers: nn.ModuleList;
  drop: nn.Dropout;
  /** What `models.save` writes, and `models.create` builds the same network from. */
  readonly config: OwnConfig;
  private readonly activation: (x: Tensor) => Tensor;

  constructor(options: MLPOptions = {}) {
    super();
    checkOptions("MLP", options, ["inputShape", "classes", "hidden", "activation", "dropout"]);
    const { inputShape = [784], classes = 10, hidden = [128], activation = "relu", dropout = 0 } = options;
    checkNumber("MLP", "classes", classes, { min: 1, whole: true });
    if (!Array.isArray(hidden)) throw new GraftError("argument", `MLP: hidden is ${String(hidden)}. Give the widths as a list, for example [128].`);
    hidden.forEach((width: number, i) => checkNumber("MLP", `hidden[${i}]`, width, { min: 1, whole: true }));
    if (!inputShape.every((size) => Number.isInteger(size) && size >= 1)) throw new GraftError("shape", `MLP: inputShape is ${showShape(inputShape)}. Use whole numbers of 1 or more.`);
    this.activation = activations[checkChoice("MLP", "activation", activation, Object.keys(activations) as (keyof typeof activations)[])];
    const widths = [sizeOf(inputShape), ...hidden, classes];
    this.layers = new nn.ModuleList(widths.slice(1).map((width, i) => new nn.Linear(widths[i], width)));
    this.drop = new nn.Dropout(dropout);
    this.config = { architecture: "MLP", input_shape: [...inputShape], classes, hidden: [...hidden], activation, dropout };
  }

  forward(x: Tensor): Tensor {
    x = x.flatten(1); // [B, inputs]
    [...this.layers].forEach((layer, i) => {
      x = (layer as nn.Linear).forward(i === 0 ? x : this.drop.forward(this.activation(x)));
    });
    return x; // [B, classes]
  }
}

const keys = ["hidden", "activation", "dropout"] as const;

register("MLP", {
  keys,
  create: (config) => new MLP({ ...readOptions(config, keys), ...readShape("MLP", config), ...readClasses("MLP", config) } as MLPOptions),
});
