import { didYouMean, GraftError } from "../base/index.js";
import { allocate, fromData, noGrad, showShape, sizeOf, type Shape } from "../graph/index.js";
import type { Json } from "../io/index.js";
import * as nn from "../nn/index.js";
import type { OwnConfig } from "./config.js";
import { readShape } from "./read-config.js";
import { register } from "./registry.js";

/** A layer by the name of its class, with what its constructor takes besides the input's size: "ReLU", { Linear: 10 }, { Conv2d: { out: 32, kernelSize: 3 } }. */
export type LayerSpec = string | { readonly [name: string]: Json };

type Options = { readonly [name: string]: Json };
type Make = (value: Json, input: Shape) => nn.Layer;

/** `out` and the rest of a value that is a number or an object with `out`. */
function sized(layer: string, value: Json): readonly [out: number, options: Options] {
  if (typeof value === "number") return [value, {}];
  const { out, ...options } = (typeof value === "object" && value !== null && !Array.isArray(value) ? value : {}) as Options;
  if (typeof out !== "number") throw new GraftError("config", `${layer}: ${JSON.stringify(value)} does not say how many outputs there are. Write { ${layer}: { out: 32 } }.`);
  return [out, options];
}

const conv =
  (layer: "Conv1d" | "Conv2d" | "Conv3d"): Make =>
  (value, [channels]) => {
    const [out, options] = sized(layer, value);
    return new nn[layer](channels, out, options as unknown as nn.ConvOptions);
  };
/** Of the number of channels, the first size of an input. */
const ofChannels =
  (layer: "BatchNorm1d" | "BatchNorm2d" | "InstanceNorm1d" | "InstanceNorm2d"): Make =>
  (value, [channels]) =>
    new nn[layer](channels, (value ?? {}) as never);
const pool =
  (layer: "MaxPool1d" | "MaxPool2d" | "AvgPool1d" | "AvgPool2d"): Make =>
  (value) =>
    new nn[layer](value as unknown as number);
/** Its options go to the constructor as they are. */
const plain =
  (layer: keyof typeof plainLayers): Make =>
  (value) =>
    new (plainLayers[layer] as new (...options: Json[]) => nn.Layer)(...(value === null ? [] : [value]));

const plainLayers = {
  ReLU: nn.ReLU, ReLU6: nn.ReLU6, LeakyReLU: nn.LeakyReLU, PReLU: nn.PReLU, ELU: nn.ELU, SELU: nn.SELU, GELU: nn.GELU, SiLU: nn.SiLU, Mish: nn.Mish, Softplus: nn.Softplus,
  Softsign: nn.Softsign, Sigmoid: nn.Sigmoid, Tanh: nn.Tanh, Hardtanh: nn.Hardtanh, Hardswish: nn.Hardswish, Dropout: nn.Dropout, Dropout2d: nn.Dropout2d, Flatten: nn.Flatten,
  Identity: nn.Identity,
} as const;

const makers: Readonly<Record<string, Make>> = {
  ...Object.fromEntries((Object.keys(plainLayers) as (keyof typeof plainLayers)[]).map((name) => [name, plain(name)])),
  Linear: (value, input) => {
    const [out, options] = sized("Linear", value);
    return new nn.Linear(input[input.length - 1], out, options as nn.LinearOptions);
  },
  Conv1d: conv("Conv1d"),
  Conv2d: conv("Conv2d"),
  Conv3d: conv("Conv3d"),
  MaxPool1d: pool("MaxPool1d"),
  MaxPool2d: pool("MaxPool2d"),
  AvgPool1d: pool("AvgPool1d"),
  AvgPool2d: pool("AvgPool2d"),
  AdaptiveAvgPool2d: (value) => new nn.AdaptiveAvgPool2d((value ?? 1) as number),
  BatchNorm1d: ofChannels("BatchNorm1d"),
  BatchNorm2d: ofChannels("BatchNorm2d"),
  InstanceNorm1d: ofChannels("InstanceNorm1d"),
  InstanceNorm2d: ofChannels("InstanceNorm2d"),
  GroupNorm: (value, [channels]) => new nn.GroupNorm(value as number, channels),
  LayerNorm: (_, input) => new nn.LayerNorm(input[input.length - 1]),
};

/** Names of the layers that a list may hold. */
export const layerNames: readonly string[] = Object.keys(makers);

/** Options of {@link Layers}. */
export interface LayersOptions {
  /** Shape of one input. */
  readonly inputShape: Shape;
  readonly layers: readonly LayerSpec[];
}

/**
 * A network given as a list of layers, as in a recipe. Input sizes are not written: each layer takes what the one before gives.
 *
 * Throws `config` for an unknown layer, and what a layer throws that does not fit, each with its place in the list.
 * @example
 * new Layers({ inputShape: [1, 16, 16], layers: [{ Conv2d: { out: 8, kernelSize: 3 } }, "ReLU", { MaxPool2d: 2 }, "Flatten", { Linear: 10 }] });
 */
export class Layers extends nn.Sequential {
  /** What `models.save` writes, and `models.create` builds the same network from. */
  readonly config: OwnConfig;
  /** Shape of one output. */
  readonly outputShape: Shape;

  constructor({ inputShape, layers }: LayersOptions) {
    super();
    if (!Array.isArray(layers) || layers.length === 0) throw new GraftError("config", `Layers: layers is ${JSON.stringify(layers)}. Give a list, for example [{ Linear: 16 }, "ReLU", { Linear: 10 }].`);
    let shape = inputShape;
    layers.forEach((spec: LayerSpec, i) => {
      const [name, value] = read(spec, i);
      try {
        const layer = makers[name](value, shape);
        shape = outputOf(layer, shape);
        this.append(layer);
      } catch (error) {
        if (!(error instanceof GraftError)) throw error;
        throw new GraftError(error.code, `layers[${i}] (${name}, input ${showShape(shape)}): ${error.message}`, { cause: error });
      }
    });
    this.outputShape = shape;
    this.config = { architecture: "Layers", input_shape: [...inputShape], layers: layers as unknown as Json };
  }
}

function read(spec: LayerSpec, i: number): readonly [name: string, value: Json] {
  const entries: [string, Json][] = typeof spec === "string" ? [[spec, null]] : typeof spec === "object" && spec !== null ? Object.entries(spec) : [];
  if (entries.length !== 1) throw new GraftError("config", `layers[${i}] is ${JSON.stringify(spec)}. Write a name ("ReLU") or a name with its options ({ Linear: 10 }).`);
  const [[name]] = entries;
  if (!Object.hasOwn(makers, name)) throw new GraftError("config", `layers[${i}]: there is no layer "${name}".${didYouMean(name, layerNames)} Layers: ${layerNames.join(", ")}.`);
  return entries[0];
}

/** The shape that a layer makes of one input; recorded only, nothing is computed. */
function outputOf(layer: nn.Layer, shape: Shape): Shape {
  const input = fromData(allocate("f32", sizeOf(shape)), [1, ...shape], "f32");
  const output = noGrad(() => layer.eval().forward(input));
  layer.train();
  return output.shape.slice(1);
}

register("Layers", { keys: ["layers"], create: (config) => new Layers({ ...readShape("Layers", config), layers: config.layers } as unknown as LayersOptions) });
