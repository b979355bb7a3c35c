import { didYouMean, GraftError } from "../base/index.js";
import type { Module } from "./module.js";

/** A class of modules, e.g. `nn.Linear`. */
export type ModuleClass<M extends Module = Module> = abstract new (...args: never[]) => M;

/**
 * Which modules of a tree are meant: a glob over paths (`layers.*.q_proj`: `*` stays inside one segment, `**` crosses dots, `{a,b}` is a choice),
 * a RegExp (must match somewhere in the path), a class (and its subclasses), or a predicate.
 */
export type Selector = string | RegExp | ModuleClass | ((path: string, module: Module) => boolean);

/** A glob as an anchored RegExp. */
export function globToRegExp(glob: string): RegExp {
  let source = "";
  let depth = 0;
  for (let i = 0; i < glob.length; i++) {
    const c = glob[i];
    if (c === "*" && glob[i + 1] === "*") {
      i++;
      if (glob[i + 1] === "." && source === "") [source, i] = ["(?:.*\\.)?", i + 1]; // a leading "**." also matches at the root
      else source += ".*";
    } else if (c === "*") source += "[^.]*";
    else if (c === "?") source += "[^.]";
    else if (c === "{") [source, depth] = [`${source}(?:`, depth + 1];
    else if (c === "}" && depth > 0) [source, depth] = [`${source})`, depth - 1];
    else if (c === "," && depth > 0) source += "|";
    else source += c.replace(/[\\^$.|+()[\]{}]/, "\\$&");
  }
  if (depth > 0) throw new GraftError("argument", `select: the glob "${glob}" has an open brace. Close it with }.`);
  return new RegExp(`^${source}$`);
}

const isModuleClass = (selector: object): selector is ModuleClass => "prototype" in selector && typeof selector.prototype === "object" && selector.prototype !== null && "forward" in selector.prototype;

/** A selector as a function of path and module. */
export function matcher(selector: Selector): (path: string, module: Module) => boolean {
  if (typeof selector === "string") {
    const pattern = globToRegExp(selector);
    return (path) => pattern.test(path);
  }
  if (selector instanceof RegExp) {
    const pattern = new RegExp(selector.source, selector.flags.replace(/[gy]/g, "")); // no memory between tests
    return (path) => pattern.test(path);
  }
  if (isModuleClass(selector)) return (_, module) => module instanceof selector;
  return selector;
}

/** A selector as text for messages. */
export const showSelector = (selector: Selector): string =>
  typeof selector === "string" ? `"${selector}"` : selector instanceof RegExp ? String(selector) : isModuleClass(selector) ? `class ${selector.name}` : "the predicate";

/** The error for a selector that nothing fits. */
export function nothingSelected(op: string, selector: Selector, paths: Iterable<string>): GraftError {
  const known = [...paths].filter((path) => path !== "");
  const hint = typeof selector === "string" ? didYouMean(selector, known) : "";
  const some = known.slice(0, 8).join(", ") + (known.length > 8 ? ", ..." : "");
  return new GraftError("argument", `${op}: nothing matches ${showSelector(selector)}.${hint} There are: ${some || "no submodules"}.`);
}
