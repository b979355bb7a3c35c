import type { Scope } from "../../graph/index.js";

/** What has modules with paths: an `nn.Module`. */
export interface HasModules {
  namedModules(): ReadonlyMap<string, object>;
}

/** Shown for what no module recorded. */
export const noModule = "(no module)";

const hasModules = (owner: object): owner is HasModules => typeof (owner as Partial<HasModules>).namedModules === "function";

/** Names scopes: modules by their paths in the model, or in the outermost module that was called. The model itself goes by the name of its class. */
export class ModulePaths {
  private readonly known = new Map<object, string>();
  /** Classes by path. */
  readonly types = new Map<string, string>();

  constructor(model?: HasModules) {
    if (model !== undefined) this.add(model);
  }

  /** The path of the module that a scope belongs to, or the scope's name. */
  of(scope: Scope | undefined): string {
    const owner = scope?.owner;
    if (owner === undefined) return noModule;
    if (typeof owner === "string") return owner;
    if (!this.known.has(owner)) this.add(outermost(scope!));
    const path = this.known.get(owner);
    if (path !== undefined) return path;
    const around = callerOf(scope!);
    const name = `${around === undefined ? "" : `${this.of(around)}.`}${owner.constructor.name}`; // no field holds it: made where it is called
    this.set(owner, name);
    return name;
  }

  private add(root: object): void {
    if (!hasModules(root)) return;
    for (const [path, module] of root.namedModules()) if (!this.known.has(module)) this.set(module, path === "" ? root.constructor.name : path);
  }

  private set(module: object, path: string): void {
    this.known.set(module, path);
    this.types.set(path, module.constructor.name);
  }
}

/** The module that called the one of a scope. */
function callerOf(scope: Scope): Scope | undefined {
  let outer = scope.outer;
  while (outer !== undefined && typeof outer.owner !== "object") outer = outer.outer;
  return outer;
}

function outermost(scope: Scope): object {
  let found = scope;
  for (let outer = callerOf(scope); outer !== undefined; outer = callerOf(outer)) found = outer;
  return found.owner as object;
}

const starred = (path: string): string => path.replace(/(?<=^|\.)\d+(?=\.|$)/g, "*");

/** Several paths as one text: those that are alike but for numbers as `layers.*.fc`, and the first of several such and how many more there are. */
export function shortened(paths: readonly string[]): string {
  const groups = new Map<string, string>();
  for (const path of paths) {
    const pattern = starred(path);
    const key = /[^*.]/.test(pattern) ? pattern : path; // "*" alone would say nothing
    groups.set(key, groups.has(key) ? key : path);
  }
  const [first = noModule, ...more] = groups.values();
  return more.length === 0 ? first : `${first} +${more.length}`;
}
