import { didYouMean, GraftError } from "../base/index.js";
import { checkDType, isFloat, Tensor, type DType, type GradientHook } from "../graph/index.js";
import { addHook, wrapForward, type ForwardHook, type ForwardPreHook, type ModuleHooks } from "./forward.js";
import { Parameter } from "./parameter.js";
import { matcher, nothingSelected, type ModuleClass, type Selector } from "./select.js";
import { buildStateDict, loadState, type LoadOptions, type LoadResult, type StateSource } from "./state.js";
import { summarize, type Summary } from "./summary.js";
import { castInPlace, copyOf } from "./values.js";

const noNames: ReadonlySet<string> = new Set();

/**
 * The base of all layers and models. A subclass holds its parts as fields and says in `forward` how they are used:
 * a {@link Parameter} is learnt, a `Module` is a submodule, any other `Tensor` is a buffer (saved, not learnt). The names of the fields are the
 * names in the state dict, so PyTorch's names load PyTorch's files.
 *
 * @example
 * class Net extends nn.Module {
 *   hidden = new nn.Linear(4, 8);
 *   out = new nn.Linear(8, 2);
 *   forward(x: Tensor): Tensor { return this.out.forward(F.relu(this.hidden.forward(x))); }
 * }
 */
export abstract class Module {
  /** Whether layers such as dropout and batch norm behave as in training; see `train()` and `eval()`. */
  training = true;
  /** Names of buffers of this module that are left out of the state dict. */
  nonPersistentBuffers: ReadonlySet<string> = noNames;
  /** Hooks registered on this module. */
  moduleHooks: ModuleHooks | undefined = undefined;

  constructor() {
    wrapForward(new.target.prototype, Module.prototype);
  }

  /** Computes the output. Call it directly; hooks run all the same. */
  abstract forward(...inputs: never[]): unknown;

  /** The same as `forward`. */
  call(...inputs: Parameters<this["forward"]>): ReturnType<this["forward"]> {
    return this.forward(...(inputs as never[])) as ReturnType<this["forward"]>;
  }

  /** Named parts of this module; containers that keep theirs elsewhere override it together with `setField`. */
  protected fields(): Iterable<readonly [string, unknown]> {
    return Object.entries(this);
  }
  protected setField(name: string, value: unknown): void {
    (this as Record<string, unknown>)[name] = value;
  }

  /* ---- looking around ---- */

  /** Direct submodules by name. Throws `argument` for modules in a plain array, whose parameters would not be found. */
  children(): Map<string, Module> {
    const found = new Map<string, Module>();
    for (const [name, value] of this.fields()) {
      if (value instanceof Module) found.set(name, value);
      else if (Array.isArray(value) && value.some((item) => item instanceof Module || item instanceof Parameter)) {
        throw new GraftError("argument", `${this.constructor.name}: the field "${name}" is an array of modules or parameters, which would not be trained or saved. Wrap it: new nn.ModuleList([...]).`);
      }
    }
    return found;
  }

  /** This module and all below it by path ("" for itself), parents first; a shared module appears once, under its first path. */
  namedModules(): Map<string, Module> {
    const found = new Map<string, Module>();
    const seen = new Set<Module>();
    const walk = (module: Module, path: string): void => {
      if (seen.has(module)) return;
      seen.add(module);
      found.set(path, module);
      for (const [name, child] of module.children()) walk(child, path === "" ? name : `${path}.${name}`);
    };
    walk(this, "");
    return found;
  }

  /** This module and all below it. */
  modules(): Module[] {
    return [...this.namedModules().values()];
  }

  /** Parameters and buffers of this module alone, by name. */
  ownTensors(): { readonly parameters: Map<string, Parameter>; readonly buffers: Map<string, Tensor> } {
    const parameters = new Map<string, Parameter>();
    const buffers = new Map<string, Tensor>();
    for (const [name, value] of this.fields()) {
      if (value instanceof Parameter) parameters.set(name, value);
      else if (value instanceof Tensor) buffers.set(name, value);
    }
    return { parameters, buffers };
  }

  private collect<T extends Tensor>(kind: (own: ReturnType<Module["ownTensors"]>) => Map<string, T>): Map<string, T> {
    const found = new Map<string, T>();
    const seen = new Set<Tensor>();
    for (const [path, module] of this.namedModules()) {
      for (const [name, value] of kind(module.ownTensors())) {
        if (seen.has(value)) continue;
        seen.add(value);
        found.set(path === "" ? name : `${path}.${name}`, value);
      }
    }
    return found;
  }

  /** All parameters by path; a shared one appears once, under its first path. */
  namedParameters(): Map<string, Parameter> {
    return this.collect((own) => own.parameters);
  }
  /** All parameters, frozen ones too; optimisers skip those without a gradient. */
  parameters(): Parameter[] {
    return [...this.namedParameters().values()];
  }
  /** All buffers by path. */
  namedBuffers(): Map<string, Tensor> {
    return this.collect((own) => own.buffers);
  }
  /** All buffers. */
  buffers(): Tensor[] {
    return [...this.namedBuffers().values()];
  }

  /** The submodule at a path. Throws `argument` when there is none. */
  get(path: string): Module {
    let module: Module = this as Module;
    for (const name of path === "" ? [] : path.split(".")) {
      const child = module.children().get(name);
      if (child === undefined) throw new GraftError("argument", `get: there is no module "${path}" in ${this.constructor.name}.${didYouMean(path, this.namedModules().keys())}`);
      module = child;
    }
    return module;
  }

  /** The parameter or buffer at a path. Throws `argument` when there is none. */
  getTensor(path: string): Tensor {
    const found = this.stateDict().get(path) ?? this.namedBuffers().get(path);
    if (found === undefined) throw new GraftError("argument", `getTensor: there is no parameter or buffer "${path}" in ${this.constructor.name}.${didYouMean(path, this.stateDict().keys())}`);
    return found;
  }

  /** Submodules that a selector means, by path (this module itself is never among them). */
  select(selector: Selector): Map<string, Module> {
    const matches = matcher(selector);
    return new Map([...this.namedModules()].filter(([path, module]) => path !== "" && matches(path, module)));
  }

  /* ---- state ---- */

  /**
   * All parameters and persistent buffers by path, in PyTorch's order. The tensors are the live ones, not copies; a shared parameter stands
   * under each of its names.
   */
  stateDict(): Map<string, Tensor> {
    return buildStateDict(this);
  }

  /**
   * Takes values from a state dict (tensors, or what `io` reads from a file), cast to the dtypes of this module. All problems (missing and unexpected
   * names, shapes that differ) are collected and thrown once as `state`, before anything is changed. With `strict: false` only shapes are
   * errors, and the names are returned.
   *
   * @example
   * model.loadStateDict(await io.readSafetensors("model.safetensors"));
   */
  loadStateDict(source: StateSource, options: LoadOptions = {}): LoadResult {
    return loadState(this, source, options);
  }

  /** A table of all layers with their parameters; with example inputs also the output shapes (recorded only, nothing is computed). */
  summary(...inputs: readonly unknown[]): Summary {
    return summarize(this, inputs);
  }

  /** A deep copy: parameters, buffers and submodules are new (sharing among them is kept), hooks are dropped, other fields are shared. */
  clone(): this {
    return cloneModule(this, new Map()) as this;
  }

  /* ---- changing ---- */

  /** Switches to training behaviour (or, with false, to evaluation) here and below. */
  train(on = true): this {
    for (const module of this.modules()) module.training = on;
    return this;
  }
  /** Switches to evaluation behaviour here and below: no dropout, running statistics in batch norm. */
  eval(): this {
    return this.train(false);
  }

  /** Calls `fn` with every module, children before parents. */
  apply(fn: (module: Module) => void): this {
    for (const module of this.modules().reverse()) fn(module);
    return this;
  }

  /** Converts floating point parameters and buffers to a dtype, in place. */
  to(dtype: DType): this {
    checkDType("to", dtype);
    for (const tensor of [...this.parameters(), ...this.buffers()]) if (isFloat(tensor.dtype)) castInPlace(tensor, dtype);
    return this;
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = null;
  }

  /** Switches gradients of all parameters on or off. */
  requiresGrad(on = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = on;
    return this;
  }

  /**
   * Stops parameters from learning: all, or those whose own path or whose module (or a module above it) the selector means.
   * Returns their paths. Throws `argument` when there are none.
   * @example
   * model.freeze("encoder.**"); model.freeze("**.bias"); model.freeze(nn.BatchNorm2d);
   */
  freeze(selector?: Selector): string[] {
    return this.switchGradients("freeze", selector, false);
  }
  /** Lets parameters learn again; see {@link freeze}. */
  unfreeze(selector?: Selector): string[] {
    return this.switchGradients("unfreeze", selector, true);
  }

  private switchGradients(op: string, selector: Selector | undefined, on: boolean): string[] {
    const parameters = this.namedParameters();
    const changed = new Map(selector === undefined ? parameters : []);
    if (selector !== undefined) {
      const matches = matcher(selector);
      const byPath = typeof selector === "string" || selector instanceof RegExp;
      for (const [path, parameter] of parameters) if (byPath && matches(path, this)) changed.set(path, parameter);
      for (const [path, module] of this.namedModules()) {
        if (path === "" ? byPath || !matches(path, module) : !matches(path, module)) continue;
        for (const [name, parameter] of module.namedParameters()) changed.set(path === "" ? name : `${path}.${name}`, parameter);
      }
      if (changed.size === 0) throw nothingSelected(op, selector, [...this.namedModules().keys(), ...parameters.keys()]);
    }
    for (const parameter of changed.values()) parameter.requiresGrad = on;
    return [...changed.keys()];
  }

  /**
   * Puts another module in the place of each selected one (everywhere it is shared) and returns the paths. Modules inside a replaced one are
   * left alone, so that a replacement may contain the original. Throws `argument` when the selector means none.
   * @example
   * model.replace("layers.*.q_proj", (linear) => new LoraLinear(linear as nn.Linear, { rank: 8 }));
   */
  replace<M extends Module = Module>(selector: ModuleClass<M> | Selector, make: (module: M, path: string) => Module): string[] {
    const selected = this.select(selector);
    if (selected.size === 0) throw nothingSelected("replace", selector, this.namedModules().keys());
    const parents = this.modules();
    const replaced: string[] = [];
    for (const [path, module] of selected) {
      if (replaced.some((done) => path.startsWith(`${done}.`))) continue;
      const next = make(module as M, path);
      if (!(next instanceof Module)) throw new GraftError("argument", `replace: the function returned ${String(next)} for "${path}". Return a Module.`);
      next.train(module.training);
      for (const parent of parents) for (const [name, child] of parent.children()) if (child === module) parent.setField(name, next);
      replaced.push(path);
    }
    return replaced;
  }

  /* ---- hooks ---- */

  private hookList(): ModuleHooks {
    return (this.moduleHooks ??= { before: [], after: [] });
  }

  /** Calls `hook(module, inputs)` before every `forward`; a list that it returns replaces the inputs. Returns a function that removes it. */
  registerForwardPreHook(hook: ForwardPreHook): () => void {
    return addHook(this.hookList().before, hook);
  }
  /** Calls `hook(module, inputs, output)` after every `forward`; a value that it returns replaces the output. Returns a function that removes it. */
  registerForwardHook(hook: ForwardHook): () => void {
    return addHook(this.hookList().after, hook);
  }
  /** Calls `hook` with the gradient of this module's output (the first one, when there are several) in every backward pass. Returns a function that removes it. */
  registerBackwardHook(hook: GradientHook): () => void {
    return this.registerForwardHook((_module, _inputs, output) => {
      const first: unknown = Array.isArray(output) ? output[0] : output;
      if (first instanceof Tensor && first.requiresGrad) first.registerHook(hook);
    });
  }
}

function cloneModule(module: Module, copies: Map<object, unknown>): Module {
  const done = copies.get(module);
  if (done !== undefined) return done as Module;
  const copy = Object.create(Object.getPrototypeOf(module) as object) as Module;
  copies.set(module, copy);
  for (const [name, value] of Object.entries(module)) {
    (copy as unknown as Record<string, unknown>)[name] = Array.isArray(value) ? [...value] : value instanceof Map ? new Map(value) : value instanceof Set ? new Set(value) : value;
  }
  copy.moduleHooks = undefined;
  for (const [name, value] of module["fields"]()) {
    if (value instanceof Module) copy["setField"](name, cloneModule(value, copies));
    else if (value instanceof Tensor) {
      let twin = copies.get(value);
      if (twin === undefined) copies.set(value, (twin = value instanceof Parameter ? new Parameter(copyOf(value), { requiresGrad: value.requiresGrad }) : copyOf(value)));
      copy["setField"](name, twin);
    }
  }
  return copy;
}
