import { checkChoice, checkNumber, checkOptions, didYouMean, GraftError } from "../base/index.js";
import type { Module } from "../nn/index.js";
import { LoraLayer, type InitLora, type LayerAdapter } from "./lora-layer.js";
import { SavedModule } from "./saved-module.js";
import { summarize, type TuneSummary } from "./summary.js";
import { endsIn, outerModules, targetLayers, type TargetModules } from "./targets.js";

/** Options of {@link lora}; the names and defaults are those of PEFT in camelCase. */
export interface LoraOptions {
  /** Rank of the change. Default: 8. */
  readonly r?: number;
  /** The change is scaled by alpha / r. Default: 8. */
  readonly alpha?: number;
  /** Layers that get an adapter. Default: "all-linear". */
  readonly targetModules?: TargetModules;
  /** Probability of dropping a value before the first factor, in training. Default: 0. */
  readonly dropout?: number;
  /** Scales by alpha / sqrt(r), so that high ranks learn as fast as low ones. Default: false. */
  readonly rsLora?: boolean;
  /** Learns the lengths of the rows apart from their directions (DoRA). Default: false. */
  readonly dora?: boolean;
  /** Default: "kaiming". */
  readonly initLora?: InitLora;
  /** Names of modules of which the adapter gets a copy that learns as a whole, for example a fresh classifier. */
  readonly modulesToSave?: readonly string[];
  /** Other ranks and alphas for some layers, by the end of their paths. */
  readonly rankPattern?: Readonly<Record<string, number>>;
  readonly alphaPattern?: Readonly<Record<string, number>>;
  /** Default: "default". */
  readonly adapterName?: string;
}

const known = ["r", "alpha", "targetModules", "dropout", "rsLora", "dora", "initLora", "modulesToSave", "rankPattern", "alphaPattern", "adapterName"] as const;

/**
 * Adds low-rank adapters to the linear layers of any module tree and freezes everything else: each chosen layer is replaced by a {@link LoraLayer} around it, and nothing in the
 * model knows. Parameters of the adapters are drawn from the global generator. Returns what learns.
 *
 * Throws `argument` for settings that make no sense and for targets that fit nothing.
 * @example
 * const model = await models.load("DIR");
 * console.log(String(tune.lora(model, { r: 8, alpha: 16, targetModules: ["q_proj", "v_proj"] }))); // trainable params: ... || all params: ... || trainable%: ...
 */
export function lora(model: Module, options: LoraOptions = {}): TuneSummary {
  const name = options.adapterName ?? "default";
  const { modules } = addAdapter(model, name, options);
  setAdapter(model, name);
  return summarize(model, modules);
}

/** Adds one more adapter, which is not in use before {@link setAdapter} says so. Throws as {@link lora}. */
export function addAdapter(model: Module, name: string, options: LoraOptions = {}): TuneSummary {
  checkOptions("lora", options, known);
  const { r = 8, alpha = 8, targetModules = "all-linear", dropout = 0, rsLora = false, dora = false, initLora = "kaiming", modulesToSave = [], rankPattern = {}, alphaPattern = {} } = options;
  checkChoice("lora", "initLora", initLora, ["kaiming", "gaussian", "random"]);
  checkNumber("lora", "dropout", dropout, { min: 0, max: 1 });
  const targets = targetLayers("lora", model, targetModules);
  const fitting = (path: string, patterns: Readonly<Record<string, number>>, otherwise: number): number => Object.entries(patterns).find(([end]) => endsIn(path, [end]))?.[1] ?? otherwise;
  const settings = new Map<string, LayerAdapter>();
  for (const path of targets.keys()) {
    const [rank, scale] = [fitting(path, rankPattern, r), fitting(path, alphaPattern, alpha)];
    checkNumber("lora", "r", rank, { min: 1, whole: true });
    checkNumber("lora", "alpha", scale, { above: 0, max: Number.MAX_VALUE });
    settings.set(path, { r: rank, alpha: scale, rsLora, dora, dropout });
  }
  return attach(model, name, settings, savedPaths(model, modulesToSave), initLora);
}

/** Puts an adapter's parts into a model, whose paths are right. */
export function attach(model: Module, name: string, settings: ReadonlyMap<string, LayerAdapter>, saved: readonly string[], init: InitLora): TuneSummary {
  if (name === "" || name.includes(".")) throw new GraftError("argument", `lora: ${JSON.stringify(name)} cannot be the name of an adapter: it is empty or has a dot.`);
  if (adapterNames(model).includes(name)) throw new GraftError("argument", `lora: the model has an adapter "${name}" already. Choose another name, or remove it with deleteAdapter.`);
  if (tuned(model).some((part) => part instanceof LoraLayer && part.mergedWeight !== null)) throw new GraftError("argument", "lora: an adapter is merged into the model. Call unmerge first.");
  const outer = outerModules(model);
  const wrapLayers = [...settings.keys()].filter((path) => !(outer.get(path) instanceof LoraLayer));
  const wrapSaved = saved.filter((path) => !(outer.get(path) instanceof SavedModule));
  if (wrapLayers.length > 0) model.replace((path) => wrapLayers.includes(path), (layer) => new LoraLayer(layer as LoraLayer["base_layer"]));
  if (wrapSaved.length > 0) model.replace((path) => wrapSaved.includes(path), (module) => new SavedModule(module));
  for (const [path, adapter] of settings) (model.get(path) as LoraLayer).add(name, adapter, init);
  for (const path of saved) (model.get(path) as SavedModule).add(name);
  return summarize(model, [...settings.keys(), ...saved]);
}

/** Paths of modules to save. Throws `argument` for a name that fits none. */
function savedPaths(model: Module, names: readonly string[]): string[] {
  const paths = [...outerModules(model).keys()].filter((path) => path !== "");
  const wrong = names.filter((name) => !paths.some((path) => endsIn(path, [name])));
  if (wrong.length > 0) throw new GraftError("argument", `lora: modulesToSave: there is no module "${wrong[0]}".${didYouMean(wrong[0], paths.map((path) => path.slice(path.lastIndexOf(".") + 1)))}`);
  return paths.filter((path) => endsIn(path, names));
}

/** All parts of a model that adapters changed. */
export const tuned = (model: Module): (LoraLayer | SavedModule)[] =>
  model.modules().filter((module): module is LoraLayer | SavedModule => module instanceof LoraLayer || module instanceof SavedModule);

/** Names of all adapters of a model. */
export function adapterNames(model: Module): string[] {
  return [...new Set(tuned(model).flatMap((part) => (part instanceof LoraLayer ? [...part.adapters.keys()] : part.modules_to_save.keys())))];
}

/** Name of the adapter in use; null where none is. */
export const activeAdapter = (model: Module): string | null => tuned(model).find((part) => part.active !== null)?.active ?? null;

/** Throws `argument` unless the model has an adapter of this name. */
export function checkAdapter(op: string, model: Module, name: string): void {
  const names = adapterNames(model);
  if (!names.includes(name)) throw new GraftError("argument", `${op}: the model has no adapter "${name}".${didYouMean(name, names)} Adapters: ${names.join(", ") || "none"}.`);
}

/**
 * Puts an adapter to use in the place of the present one, or with null none: the base stays as it is, so this takes no time. From then on exactly the parameters of that
 * adapter learn (none with `trainable: false`).
 *
 * Throws `argument` for a name that is not there, or while an adapter is merged.
 * @example
 * tune.setAdapter(model, "french");
 * tune.setAdapter(model, null); // the base model
 */
export function setAdapter(model: Module, name: string | null, options: { readonly trainable?: boolean } = {}): void {
  checkOptions("setAdapter", options, ["trainable"]);
  if (name !== null) checkAdapter("setAdapter", model, name);
  const parts = tuned(model);
  if (parts.some((part) => part instanceof LoraLayer && part.mergedWeight !== null)) throw new GraftError("argument", "setAdapter: an adapter is merged into the model. Call unmerge first.");
  model.requiresGrad(false);
  for (const part of parts) {
    const has = name !== null && (part instanceof LoraLayer ? part.adapters.has(name) : part.modules_to_save.has(name));
    part.active = has ? name : null;
    if (has) for (const parameter of part.parametersOf(name)) parameter.requiresGrad = options.trainable ?? true;
  }
}

/** Removes an adapter; where it was in use, none is afterwards. Throws `argument` for a name that is not there. */
export function deleteAdapter(model: Module, name: string): void {
  checkAdapter("deleteAdapter", model, name);
  if (activeAdapter(model) === name) setAdapter(model, null);
  for (const part of tuned(model)) part.remove(name);
}
