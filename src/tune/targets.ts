import { GraftError, didYouMean } from "../base/index.js";
import type * as nn from "../nn/index.js";
import { isBaseLayer, type BaseLayer } from "./base-layer.js";
import { LoraLayer } from "./lora-layer.js";
import { SavedModule } from "./saved-module.js";

/**
 * Which linear layers are meant: names (`"q_proj"`: every layer whose path ends in it), a RegExp, "all-linear" (all but heads: `lm_head`, `classifier`, ...), or any
 * selector of `nn` (a glob, a class, a predicate).
 */
export type TargetModules = readonly string[] | "all-linear" | nn.Selector;

/** Names of heads, which "all-linear" leaves alone: they give the result and are no part of the trunk. */
const heads = new Set(["lm_head", "embed_out", "predictions", "classifier", "score", "qa_outputs", "pre_classifier", "vocab_projector", "vocab_layer_norm"]);

/** All modules by path, as the model was before it was tuned: what is inside of an adapter's layer is not shown. */
export function outerModules(model: nn.Module): Map<string, nn.Module> {
  const found = new Map<string, nn.Module>();
  const inside: string[] = [];
  for (const [path, module] of model.namedModules()) {
    if (inside.some((outer) => path.startsWith(outer))) continue;
    found.set(path, module);
    if (module instanceof LoraLayer || module instanceof SavedModule) inside.push(`${path}.`);
  }
  return found;
}

/** Layers that may carry an adapter, or do so already, by path. */
export function linearLayers(model: nn.Module): Map<string, BaseLayer | LoraLayer> {
  const found = new Map<string, BaseLayer | LoraLayer>();
  for (const [path, module] of outerModules(model)) if (module instanceof LoraLayer || isBaseLayer(module)) found.set(path, module);
  return found;
}

/** Whether a path is one of these names, or ends in it. */
export const endsIn = (path: string, names: readonly string[]): boolean => names.some((name) => path === name || path.endsWith(`.${name}`));

/** Layers that the user means, by path. Throws `argument` when there are none, or when a name in a list fits none. */
export function targetLayers(op: string, model: nn.Module, targets: TargetModules): Map<string, BaseLayer | LoraLayer> {
  const layers = linearLayers(model);
  const names = new Set([...layers.keys()].map((path) => path.slice(path.lastIndexOf(".") + 1)));
  const known = `Linear layers: ${[...names].slice(0, 20).join(", ") || "none"}.`;
  if (layers.has("")) throw new GraftError("argument", `${op}: the model is itself one layer, which cannot be replaced. Wrap it: new nn.Sequential(layer).`);
  if (Array.isArray(targets)) {
    const list = targets as readonly string[];
    const wrong = list.filter((name) => ![...layers.keys()].some((path) => endsIn(path, [name])));
    if (wrong.length > 0 || list.length === 0) {
      const other = [...outerModules(model)].filter(([path]) => endsIn(path, wrong)).map(([path, module]) => `${path} is a ${module.constructor.name}`);
      const hints = wrong.map((name) => `"${name}".${didYouMean(name, names)}`).join(" ");
      throw new GraftError("argument", `${op}: targetModules: no linear layer is called ${hints || "by an empty list."} ${other.length > 0 ? `${other.slice(0, 3).join(", ")}. ` : ""}${known}`);
    }
    return new Map([...layers].filter(([path]) => endsIn(path, list)));
  }
  const selector = targets as "all-linear" | nn.Selector;
  const chosen = selector === "all-linear" ? new Set([...layers.keys()].filter((path) => !path.split(".").some((name) => heads.has(name)))) : new Set(model.select(selector).keys());
  const found = new Map([...layers].filter(([path]) => chosen.has(path)));
  if (found.size === 0) throw new GraftError("argument", `${op}: targetModules ${typeof selector === "string" ? `"${selector}"` : String(selector)} fits no linear layer. ${known}`);
  return found;
}
