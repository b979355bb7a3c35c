import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import * as nn from "../nn/index.js";
import type { OwnConfig } from "./config.js";
import { readClasses, readOptions, readShape } from "./read-config.js";
import { register } from "./registry.js";

/** Sizes of {@link SimpleCNN}. */
export interface SimpleCNNOptions {
  /** [C, H, W] of a picture; H and W are at least 2. Default: [1, 16, 16]. */
  readonly inputShape?: readonly [channels: number, height: number, width: number];
  /** Number of outputs. Default: 10. */
  readonly classes?: number;
  /** Channels of the convolution. Default: 32. */
  readonly channels?: number;
  /** Width of the hidden layer. Default: 128. */
  readonly hidden?: number;
}

/**
 * A small convolutional network: 3x3 convolution, ReLU, 2x2 max pool, hidden layer, ReLU, logits. x [B, C, H, W] -> [B, classes].
 *
 * Throws `argument` or `shape` for sizes that make no network.
 * @example
 * const model = new SimpleCNN({ inputShape: [1, 28, 28] });
 * model.forward(zeros([64, 1, 28, 28])); // [64, 10]
 */
export class SimpleCNN extends nn.Module {
  conv1: nn.Conv2d;
  pool = new nn.MaxPool2d(2);
  fc1: nn.Linear;
  fc2: nn.Linear;
  /** What `models.save` writes, and `models.create` builds the same network from. */
  readonly config: OwnConfig;

  constructor(options: SimpleCNNOptions = {}) {
    super();
    checkOptions("SimpleCNN", options, ["inputShape", "classes", "channels", "hidden"]);
    const { inputShape = [1, 16, 16], classes = 10, channels = 32, hidden = 128 } = options;
    for (const [name, value] of Object.entries({ classes, channels, hidden })) checkNumber("SimpleCNN", name, value, { min: 1, whole: true });
    if (inputShape.length !== 3 || !inputShape.every((size) => Number.isInteger(size) && size >= 1) || inputShape[1] < 2 || inputShape[2] < 2) {
      throw new GraftError("shape", `SimpleCNN: inputShape is ${showShape(inputShape)}. Use [C, H, W] with H and W of at least 2.`);
    }
    const [inputs, height, width] = inputShape;
    this.conv1 = new nn.Conv2d(inputs, channels, { kernelSize: 3, padding: 1 });
    this.fc1 = new nn.Linear(channels * Math.floor(height / 2) * Math.floor(width / 2), hidden);
    this.fc2 = new nn.Linear(hidden, classes);
    this.config = { architecture: "SimpleCNN", input_shape: [...inputShape], classes, channels, hidden };
  }

  forward(x: Tensor): Tensor {
    x = this.pool.forward(F.relu(this.conv1.forward(x))); // [B, channels, H / 2, W / 2]
    return this.fc2.forward(F.relu(this.fc1.forward(x.flatten(1)))); // [B, classes]
  }
}

register("SimpleCNN", {
  keys: ["channels", "hidden"],
  create: (config) =>
    new SimpleCNN({ ...readOptions(config, ["channels", "hidden"]), ...readShape("SimpleCNN", config, 3), ...readClasses("SimpleCNN", config) } as SimpleCNNOptions),
});
