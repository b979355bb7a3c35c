import { didYouMean, GraftError } from "../base/index.js";
import { sameShape, showShape, Tensor } from "../graph/index.js";
import type { Module } from "./module.js";
import { loadValue, type TensorData } from "./values.js";

/** A state dict as a Map or a plain object, of tensors or of host data. */
export type StateSource = ReadonlyMap<string, Tensor | TensorData> | Readonly<Record<string, Tensor | TensorData>>;

/** Options of `loadStateDict`. */
export interface LoadOptions {
  /** Missing and unexpected names are errors. Default: true. */
  readonly strict?: boolean;
  /** Use the memory of the source instead of copying it where dtypes agree; the source must not be used afterwards. Default: false. */
  readonly assign?: boolean;
}

/** Names that a `strict: false` load passed over. */
export interface LoadResult {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}

/** Own parameters, own persistent buffers, then the children's, under every path. */
export function buildStateDict(module: Module, prefix = "", into = new Map<string, Tensor>()): Map<string, Tensor> {
  const { parameters, buffers } = module.ownTensors();
  for (const [name, parameter] of parameters) into.set(prefix + name, parameter);
  for (const [name, buffer] of buffers) if (!module.nonPersistentBuffers.has(name)) into.set(prefix + name, buffer);
  for (const [name, child] of module.children()) buildStateDict(child, `${prefix}${name}.`, into);
  return into;
}

const shown = 12;

/** Loads a state dict into a module; everything is checked before anything is changed. */
export function loadState(module: Module, source: StateSource, { strict = true, assign = false }: LoadOptions): LoadResult {
  const given = new Map<string, Tensor | TensorData>(source instanceof Map ? source : Object.entries(source));
  const wanted = buildStateDict(module);
  const loadedUnderOtherName = new Set<Tensor>(); // a shared parameter is saved under one of its names by some writers
  for (const [name, target] of wanted) if (given.has(name)) loadedUnderOtherName.add(target);
  const missing = [...wanted].filter(([name, target]) => !given.has(name) && !loadedUnderOtherName.has(target)).map(([name]) => name);
  const unexpected = [...given.keys()].filter((name) => !wanted.has(name));
  const problems: string[] = [];
  if (strict) {
    for (const name of missing) problems.push(`missing: ${name} ${showShape(wanted.get(name)!.shape)}`);
    for (const name of unexpected) problems.push(`unexpected: ${name} ${showShape(given.get(name)!.shape)}.${didYouMean(name, missing.length > 0 ? missing : wanted.keys())}`);
  }
  for (const [name, target] of wanted) {
    const value = given.get(name);
    if (value === undefined) continue;
    if (!sameShape(value.shape, target.shape)) problems.push(`shape of ${name}: the model has ${showShape(target.shape)}, the state dict ${showShape(value.shape)}`);
    else if (!(value instanceof Tensor) && value.data.length !== target.size) problems.push(`data of ${name}: ${value.data.length} values for ${showShape(target.shape)}`);
  }
  if (problems.length > 0) {
    const more = problems.length > shown ? `\n  and ${problems.length - shown} more` : "";
    throw new GraftError("state", `loadStateDict: ${problems.length} problem(s) in ${module.constructor.name}:\n  ${problems.slice(0, shown).join("\n  ")}${more}\nLoad the weights of the same architecture, or pass { strict: false } to skip names.`);
  }
  const done = new Set<Tensor>();
  for (const [name, target] of wanted) {
    const value = given.get(name);
    if (value === undefined || value === target || done.has(target)) continue;
    done.add(target);
    loadValue(target, value, assign);
  }
  return { missing, unexpected };
}
