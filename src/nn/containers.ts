import { GraftError } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { Module } from "./module.js";

/** A module that turns one tensor into one. */
export type Layer = Module & { forward(x: Tensor): Tensor };

/** Modules under the names "0", "1", ... */
abstract class Indexed<T extends Module> extends Module {
  readonly [index: number]: T;
  /** Number of modules. */
  length = 0;

  /** Adds a module at the end. */
  append(module: T): this {
    if (!(module instanceof Module)) throw new GraftError("argument", `${this.constructor.name}: item ${this.length} is ${String(module)}, not a Module. Pass layers, e.g. new nn.ReLU().`);
    this.setField(String(this.length++), module);
    return this;
  }

  /** The module at an index; negative ones count from the end. Throws `index` outside. */
  at(index: number): T {
    const i = index < 0 ? index + this.length : index;
    if (!Number.isInteger(i) || i < 0 || i >= this.length) throw new GraftError("index", `${this.constructor.name}: there is no item ${index}. It holds ${this.length}.`);
    return [...this][i];
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (const value of Object.values(this)) if (value instanceof Module) yield value as T;
  }
}

/**
 * A list of modules whose parameters are found, saved and trained. Use it instead of an array.
 * @example
 * layers = new nn.ModuleList(Array.from({ length: 4 }, () => new nn.Linear(8, 8)));
 * forward(x: Tensor): Tensor { for (const layer of this.layers) x = layer.forward(x); return x; }
 */
export class ModuleList<T extends Module = Layer> extends Indexed<T> {
  constructor(modules: Iterable<T> = []) {
    super();
    for (const module of modules) this.append(module);
  }

  /** Adds several modules at the end. */
  extend(modules: Iterable<T>): this {
    for (const module of modules) this.append(module);
    return this;
  }

  forward(): never {
    throw new GraftError("argument", "ModuleList: a list has no forward of its own. Call the forward of its items, or use Sequential.");
  }
}

/**
 * Layers one after the other. Names in the state dict are "0", "1", ..., or the keys of an object.
 * @example
 * new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 2));
 * new nn.Sequential({ hidden: new nn.Linear(4, 8), act: new nn.ReLU() });
 */
export class Sequential extends Indexed<Layer> {
  constructor(...layers: readonly Layer[] | readonly [Readonly<Record<string, Layer>>]) {
    super();
    const first = layers[0];
    if (layers.length === 1 && !(first instanceof Module) && typeof first === "object" && first !== null) {
      for (const [name, layer] of Object.entries(first)) {
        if (name in this || name.includes(".") || name === "") throw new GraftError("argument", `Sequential: "${name}" cannot be the name of a layer (it is empty, has a dot or is taken). Choose another.`);
        this.setField(name, layer);
        this.length++;
      }
      return;
    }
    for (const layer of layers) this.append(layer as Layer);
  }

  forward(x: Tensor): Tensor {
    let y = x;
    for (const layer of this) y = layer.forward(y);
    return y;
  }
}

/**
 * Modules by name.
 * @example
 * heads = new nn.ModuleDict({ digits: new nn.Linear(8, 10), parity: new nn.Linear(8, 2) });
 * forward(x: Tensor): Tensor { return this.heads.at("digits").forward(x); }
 */
export class ModuleDict<T extends Module = Layer> extends Module {
  private readonly entries = new Map<string, T>();

  constructor(modules: Readonly<Record<string, T>> = {}) {
    super();
    for (const [name, module] of Object.entries(modules)) this.set(name, module);
  }

  protected override fields(): Iterable<readonly [string, unknown]> {
    return this.entries;
  }
  protected override setField(name: string, value: unknown): void {
    this.entries.set(name, value as T);
  }

  /** Adds or replaces a module. */
  set(name: string, module: T): this {
    if (name === "" || name.includes(".")) throw new GraftError("argument", `ModuleDict: "${name}" cannot be a name: it is empty or has a dot.`);
    this.entries.set(name, module);
    return this;
  }
  /** The module of a name. Throws `argument` when there is none. */
  at(name: string): T {
    const found = this.entries.get(name);
    if (found === undefined) throw new GraftError("argument", `ModuleDict: there is no "${name}". It holds ${[...this.entries.keys()].join(", ") || "nothing"}.`);
    return found;
  }
  has(name: string): boolean {
    return this.entries.has(name);
  }
  keys(): string[] {
    return [...this.entries.keys()];
  }
  /** Removes a module; says whether it was there. */
  delete(name: string): boolean {
    return this.entries.delete(name);
  }

  forward(): never {
    throw new GraftError("argument", "ModuleDict: a dict has no forward of its own. Call the forward of its items.");
  }
}
