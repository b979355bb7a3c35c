import { didYouMean, GraftError } from "../../base/index.js";
import type { Tensor } from "../../graph/index.js";
import { F } from "../../ops/index.js";

const tanhGelu = (x: Tensor): Tensor => F.gelu(x, { approximate: "tanh" });

/** Activations by the names that configs use. */
const activations: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  gelu: (x) => F.gelu(x),
  gelu_new: tanhGelu,
  gelu_fast: tanhGelu,
  gelu_pytorch_tanh: tanhGelu,
  quick_gelu: (x) => F.mul(x, F.sigmoid(F.mul(x, 1.702))),
  relu: F.relu,
  relu2: (x) => F.square(F.relu(x)),
  silu: F.silu,
  swish: F.silu,
  tanh: F.tanh,
  sigmoid: F.sigmoid,
  mish: F.mish,
};

/** The activation that a config names. Throws `config`. */
export function activationOf(name: string, key: string, value: string): (x: Tensor) => Tensor {
  if (!Object.hasOwn(activations, value)) throw new GraftError("config", `${name} config: ${key} is "${value}".${didYouMean(value, Object.keys(activations))} Known: ${Object.keys(activations).join(", ")}.`);
  return activations[value];
}
