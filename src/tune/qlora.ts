import { checkOptions, GraftError } from "../base/index.js";
import * as nn from "../nn/index.js";
import type { QuantType } from "./code-books.js";
import { lora, type LoraOptions } from "./lora.js";
import { QuantLinear } from "./quant-linear.js";
import type { QuantizeOptions } from "./quantize.js";
import { summarize, type TuneSummary } from "./summary.js";
import { targetLayers, type TargetModules } from "./targets.js";

/** Options of {@link quantizeModel}. */
export interface QuantizeModelOptions extends QuantizeOptions {
  /** Bits per weight. Default: those of `type`. */
  readonly bits?: 4 | 8;
  /** Layers that are stored in few bits. Default: "all-linear". */
  readonly layers?: TargetModules;
}

/** Options of {@link qlora}: those of {@link lora}, and how the frozen weights are stored. */
export interface QloraOptions extends LoraOptions, Omit<QuantizeModelOptions, "layers"> {
  /** Layers that are stored in few bits. Default: "all-linear". */
  readonly quantize?: TargetModules;
}

function quantTypeOf(op: string, bits: 4 | 8 | undefined, type: QuantType | undefined): QuantType {
  const chosen = type ?? (bits === 8 ? "int8" : "nf4");
  if (bits !== undefined && bits !== (chosen === "int8" ? 8 : 4)) throw new GraftError("argument", `${op}: bits is ${bits}, but ${chosen} has ${chosen === "int8" ? 8 : 4}. Leave one of the two out.`);
  return chosen;
}

/**
 * Stores the weights of linear layers in blocks of few bits, for good: they are frozen, and unpacked only inside the kernel that multiplies with them. Layers that share their weight with
 * another module (a tied head) stay as they are. Returns what is left to learn.
 *
 * Throws `argument` for layers that carry an adapter already.
 */
export function quantizeModel(model: nn.Module, options: QuantizeModelOptions = {}): TuneSummary {
  checkOptions("quantizeModel", options, ["type", "bits", "blockSize", "doubleQuant", "layers"]);
  const { bits, type, layers = "all-linear", ...rest } = options;
  const how: QuantizeOptions = { ...rest, type: quantTypeOf("quantizeModel", bits, type) };
  const targets = targetLayers("quantizeModel", model, layers);
  const uses = new Map<nn.Parameter, number>();
  for (const module of model.modules()) for (const parameter of module.ownTensors().parameters.values()) uses.set(parameter, (uses.get(parameter) ?? 0) + 1);
  const replaced: string[] = [];
  for (const [path, layer] of targets) {
    if (layer instanceof QuantLinear) continue;
    if (!(layer instanceof nn.Linear || layer instanceof nn.TransposedLinear)) throw new GraftError("argument", `quantizeModel: ${path} carries an adapter. Store the weights in few bits before adapters are added.`);
    if (uses.get(layer.weight) !== 1) continue;
    replaced.push(...model.replace((other) => other === path, () => QuantLinear.of(layer, how)));
    targets.set(path, model.get(path) as QuantLinear); // nothing here holds the old weight any more
  }
  return summarize(model, replaced);
}

/**
 * LoRA over a frozen model in 4 or 8 bits per weight (Dettmers et al., "QLoRA", 2023): all linear layers but the heads are stored in few bits, those that `targetModules` names get adapters.
 * @example
 * tune.qlora(model, { r: 16, alpha: 32, type: "nf4" }); // 4.13 bits per weight
 */
export function qlora(model: nn.Module, options: QloraOptions = {}): TuneSummary {
  const { bits, type, blockSize, doubleQuant, quantize = "all-linear", ...adapter } = options;
  targetLayers("qlora", model, adapter.targetModules ?? "all-linear"); // a wrong name must show before anything is changed
  const how = { bits, type, blockSize, doubleQuant, layers: quantize };
  quantizeModel(model, Object.fromEntries(Object.entries(how).filter(([, value]) => value !== undefined)) as QuantizeModelOptions);
  return lora(model, adapter);
}
