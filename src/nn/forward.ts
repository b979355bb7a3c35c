import { GraftError } from "../base/index.js";
import { inScope, scoped } from "../graph/index.js";
import type { Module } from "./module.js";

/** Called before `forward`; what it returns (a list) replaces the inputs. */
export type ForwardPreHook = (module: Module, inputs: readonly unknown[]) => readonly unknown[] | void;
/** Called after `forward`; what it returns replaces the output. */
export type ForwardHook = (module: Module, inputs: readonly unknown[], output: unknown) => unknown;

/** The hooks of one module; absent until the first is registered. */
export interface ModuleHooks {
  readonly before: ForwardPreHook[];
  readonly after: ForwardHook[];
}

const noHooks: ModuleHooks = { before: [], after: [] };

/** Adds `hook` to a list and returns what removes it. */
export function addHook<H>(hooks: H[], hook: H): () => void {
  hooks.push(hook);
  return () => {
    const at = hooks.indexOf(hook);
    if (at >= 0) hooks.splice(at, 1);
  };
}

type Forward = (this: Module, ...inputs: unknown[]) => unknown;

const seen = new WeakSet<object>();

/**
 * Puts a thin shell around the `forward` of a class, once, so that hooks run, and errors and profiles carry the module's path, however `forward` is called.
 * It costs one comparison and two reads per call.
 */
export function wrapForward(prototype: object, base: object): void {
  for (let level = prototype; level !== base && !seen.has(level); level = Object.getPrototypeOf(level) as object) {
    seen.add(level);
    const own = Object.getOwnPropertyDescriptor(level, "forward");
    if (typeof own?.value === "function") Object.defineProperty(level, "forward", { ...own, value: shell(own.value as Forward) });
  }
}

function shell(inner: Forward): Forward {
  return function forward(this: Module, ...inputs: unknown[]): unknown {
    if ((this.forward as unknown) !== forward) return inner.apply(this, inputs); // reached through super: the outer shell does the work
    try {
      if (scoped()) return inScope(this, () => withHooks(this, this.moduleHooks ?? noHooks, inner, inputs));
      return this.moduleHooks === undefined ? inner.apply(this, inputs) : withHooks(this, this.moduleHooks, inner, inputs);
    } catch (error) {
      if (error instanceof GraftError) addPath(error, this);
      throw error;
    }
  };
}

function withHooks(module: Module, { before, after }: ModuleHooks, inner: Forward, inputs: unknown[]): unknown {
  let current = inputs;
  for (const hook of [...before]) {
    const replaced = hook(module, current);
    if (replaced !== undefined) current = [...replaced];
  }
  let output = inner.apply(module, current);
  for (const hook of [...after]) {
    const replaced = hook(module, current, output);
    if (replaced !== undefined) output = replaced;
  }
  return output;
}

/** How far an error has come up the tree: the innermost module's path as seen from `module`. */
interface Trail {
  readonly module: Module;
  readonly path: string;
  readonly text: string;
}

const trails = new WeakMap<GraftError, Trail>();

/** Extends the path in an error's message by one level, as the error passes `module` on its way up. */
function addPath(error: GraftError, module: Module): void {
  const trail = trails.get(error);
  if (trail === undefined) {
    trails.set(error, { module, path: "", text: error.message });
    return;
  }
  if (trail.module === module) return;
  let name: string | undefined;
  for (const [path, child] of module.namedModules()) if (child === trail.module) name = path;
  if (name === undefined) return; // not a submodule of the caller: the path ends here
  const path = trail.path === "" ? name : `${name}.${trail.path}`;
  const message = `${path}: ${trail.text}`;
  error.stack = error.stack?.replace(error.message, () => message);
  error.message = message;
  trails.set(error, { module, path, text: trail.text });
}
