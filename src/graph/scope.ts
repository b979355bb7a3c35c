import { env } from "../base/index.js";

/** Which part of a step an op belongs to. */
export type Pass = "forward" | "backward" | "update";

/** Who records: a module (an object that gives its paths when they are asked for), or a name. */
export type Owner = object | string;

/** What was running when an op was recorded. */
export interface Scope {
  readonly owner: Owner | undefined;
  /** Around it; for a module the one that called it. */
  readonly outer: Scope | undefined;
  readonly pass: Pass;
  /** The same in the backward pass, once it was needed. */
  gradient: Scope | undefined;
}

/** The scope of what is recorded now; always undefined while scopes are off. Read it, and set it by {@link inScope}. */
export let activeScope: Scope | undefined;
let on = env.debug >= 2;

/** Whether ops remember who recorded them. */
export const scoped = (): boolean => on;

/** Switches scopes on or off (they follow GRAFT_DEBUG=2 at the start); returns how it was. Never from inside one. */
export function scopesOn(now: boolean): boolean {
  const before = on;
  on = now;
  if (!now) activeScope = undefined;
  return before;
}

export const currentScope = (): Scope | undefined => activeScope;
export function setScope(scope: Scope | undefined): void {
  activeScope = on ? scope : undefined;
}

/** Runs `body`; what it records belongs to `owner`. Costs nothing but a call while scopes are off. What an async body does after its first await is outside. */
export function inScope<T>(owner: Owner, body: () => T, pass?: Pass): T {
  if (!on) return body();
  const outer = activeScope;
  activeScope = { owner, outer, pass: pass ?? outer?.pass ?? "forward", gradient: undefined };
  try {
    return body();
  } finally {
    setScope(outer);
  }
}

const nobodysGradient: Scope = { owner: undefined, outer: undefined, pass: "backward", gradient: undefined };

/** The scope of the gradients of what was recorded in `scope`. */
export function gradientScope(scope: Scope | undefined): Scope {
  if (scope === undefined) return nobodysGradient;
  if (scope.pass === "backward") return scope;
  return (scope.gradient ??= { owner: scope.owner, outer: scope.outer, pass: "backward", gradient: undefined });
}
