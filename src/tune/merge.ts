import { GraftError } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { realize } from "../runtime/index.js";
import * as nn from "../nn/index.js";
import { denseWeight, isTransposed } from "./base-layer.js";
import { LoraLayer } from "./lora-layer.js";
import { tuned } from "./lora.js";
import { QuantLinear } from "./quant-linear.js";
import { SavedModule } from "./saved-module.js";

const layersOf = (model: nn.Module): LoraLayer[] => tuned(model).filter((part): part is LoraLayer => part instanceof LoraLayer);

/**
 * Adds the adapter in use to the weights, so that it costs nothing any more: the merged model computes what the adapter did, up to rounding. The original weights are kept beside the
 * merged ones (memory for the chosen layers twice), so that {@link unmerge} gives back their exact bits; layers in few bits get a merged weight in f32.
 *
 * Throws `argument` when no adapter is in use.
 */
export async function merge(model: nn.Module): Promise<void> {
  const layers = layersOf(model).filter(({ mergedWeight }) => mergedWeight === null);
  const merged = layers.map((layer) => layer.combined());
  if (merged.every((weight) => weight === null)) throw new GraftError("argument", "merge: no adapter is in use, or it is merged already. Add one with tune.lora, or choose one with setAdapter.");
  await realize(...merged.filter((weight) => weight !== null));
  layers.forEach((layer, i) => (layer.mergedWeight = merged[i]));
}

/** Takes merged weights away again; the base is then as it was, bit for bit. */
export function unmerge(model: nn.Module): void {
  for (const layer of layersOf(model)) layer.mergedWeight = null;
}

/**
 * Merges the adapter in use for good and puts ordinary layers back in the place of those with adapters; other adapters are forgotten. The model then has the structure, and the names in its
 * state dict, that it had before tuning, and can be saved as such. Layers in few bits become ordinary ones in f32, also where there is no adapter.
 * @example
 * await tune.mergeAndUnload(model);
 * await models.save("merged", model);
 */
export async function mergeAndUnload(model: nn.Module): Promise<void> {
  const layers = layersOf(model);
  const onlyBlocks = layers.length === 0 && model.select(QuantLinear).size > 0; // nothing to merge, but to unpack
  if (!onlyBlocks && layers.every(({ mergedWeight }) => mergedWeight === null)) await merge(model);
  unwrap(model, true);
  await dequantizeModel(model);
}

/** Puts ordinary layers in f32 in the place of layers in few bits. */
async function dequantizeModel(model: nn.Module): Promise<void> {
  const layers = [...model.select(QuantLinear).values()] as QuantLinear[];
  if (layers.length === 0) return;
  const weights = layers.map(denseWeight);
  await realize(...weights);
  model.replace<QuantLinear>(QuantLinear, (layer) => plainLayer(layer, new nn.Parameter(weights[layers.indexOf(layer)], { requiresGrad: false })));
}

/** Takes all adapters out without merging: the base model comes back, bit for bit. */
export function unload(model: nn.Module): void {
  unmerge(model);
  unwrap(model, false);
}

function unwrap(model: nn.Module, keepChanges: boolean): void {
  const isWrapper = (_: string, module: nn.Module): boolean => module instanceof LoraLayer || module instanceof SavedModule;
  if (model.select(isWrapper).size === 0) return;
  const uses = countUses(model);
  model.replace(isWrapper, (module) => {
    if (module instanceof SavedModule) return keepChanges ? module.current : module.original_module;
    const { base_layer: base, mergedWeight } = module as LoraLayer;
    if (!keepChanges || mergedWeight === null) return base;
    const weight = new nn.Parameter(mergedWeight, { requiresGrad: false });
    if (base instanceof QuantLinear) return plainLayer(base, weight);
    if ((uses.get(base.weight) ?? 0) > 1) untie(model);
    base.weight = weight;
    return base;
  });
}

/** How many modules hold each parameter. */
function countUses(model: nn.Module): Map<Tensor, number> {
  const uses = new Map<Tensor, number>();
  for (const module of model.modules()) for (const parameter of module.ownTensors().parameters.values()) uses.set(parameter, (uses.get(parameter) ?? 0) + 1);
  return uses;
}

/** A merged head no longer shares its weight with the table of embeddings, and the config must say so. */
function untie(model: nn.Module): void {
  const { config } = model as { config?: { readonly tie_word_embeddings?: unknown } };
  if (config?.tie_word_embeddings !== undefined) Object.assign(model, { config: { ...config, tie_word_embeddings: false } });
}

function plainLayer(layer: QuantLinear, weight: nn.Parameter): nn.Module {
  const plain = isTransposed(layer) ? new nn.TransposedLinear(layer.inFeatures, layer.outFeatures, { bias: false }) : new nn.Linear(layer.inFeatures, layer.outFeatures, { bias: false });
  plain.weight = weight;
  plain.bias = layer.bias;
  return plain;
}
