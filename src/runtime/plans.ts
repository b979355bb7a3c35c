import { env, GraftError } from "../base/index.js";
import { specBytes, type Node } from "../graph/index.js";
import { compileGraph, printPlan, signature, type Goal, type Plan, type Target } from "../plan/index.js";
import type { Backend, LoadedPlan } from "../backend/index.js";
import { PlanCache } from "./plan-cache.js";

/** A plan ready to run. */
export interface Compiled {
  readonly plan: Plan;
  readonly loaded: LoadedPlan;
  /** Milliseconds of its fastest run so far. */
  readonly timing: { fastest: number };
}

const maxPlans = 512;
/** One cache per backend and setting: fused or not, planned memory or not. */
const caches = new WeakMap<Backend, PlanCache<Compiled>[]>();

const counters = { hits: 0, misses: 0 };
/** How often a plan was found in the cache and how often one had to be made. */
export const planCounters = (): Readonly<typeof counters> => ({ ...counters });

/** What the compiler is to know of a backend under the present flags. */
export function targetOf(backend: Backend): Target {
  const { check } = env; // with it a step is one op, which can be named exactly, and nothing is overwritten before all others have run
  return { fuse: backend.fuses && env.fuse && !check, planMemory: env.memplan, careful: check, supports: (...args) => backend.supports(...args) };
}

/** The plan for a graph: from the cache when one of the same structure was compiled before. */
export function planFor(backend: Backend, nodes: readonly Node[], goal: Goal): Compiled {
  let settings = caches.get(backend);
  if (settings === undefined) caches.set(backend, (settings = []));
  const target = targetOf(backend);
  const cache = (settings[Number(target.fuse) + 2 * Number(target.planMemory) + 4 * Number(target.careful)] ??= new PlanCache(maxPlans));
  const found = cache.get(signature(nodes, [goal.outputs, goal.assignments]));
  if (found !== undefined) {
    counters.hits++;
    return found;
  }
  counters.misses++;
  const plan = compileGraph(nodes, goal, target);
  if (env.debug >= 3) process.stderr.write(`${printPlan(plan)}\n`);
  if (env.debug >= 4) for (const { label, offset, bytes, from, to } of plan.lifetimes) process.stderr.write(`graft: buffer ${label} ${bytes} bytes at ${offset}, steps ${from} to ${to}\n`);
  checkFits(plan, backend.memoryLimit);
  const compiled: Compiled = { plan, loaded: backend.load(plan), timing: { fastest: Infinity } };
  cache.set(signature(nodes, [goal.outputs, goal.assignments]), compiled);
  return compiled;
}

/** Bytes of the slots that a run fills with new results, or of those that are there before it. */
export const slotBytes = (plan: Plan, results: boolean): number => plan.slots.reduce((total, slot) => ((slot.kind === "output") === results ? total + specBytes(slot) : total), 0);

/** Bytes of working memory and of new results that a run of a plan needs. */
export function planBytes(plan: Plan): number {
  return plan.arenaBytes + slotBytes(plan, true);
}

const gib = (bytes: number): string => (bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`);

/** Bytes that a plan may use: `GRAFT_MEMORY_LIMIT`, or what the machine has free. */
export const memoryLimit = (): number => env.memoryLimit || process.availableMemory();

/** Throws before the first run when the machine cannot hold what the plan needs. */
function checkFits(plan: Plan, own = Infinity): void {
  const needed = planBytes(plan);
  const limit = Math.min(memoryLimit(), own);
  if (needed <= limit) return;
  const largest = [...plan.lifetimes].sort((a, b) => b.bytes - a.bytes)[0];
  const part = Math.floor((limit / needed) * 100);
  throw new GraftError(
    "memory",
    `step: needs ${gib(needed)} at its peak, ${gib(limit)} ${env.memoryLimit ? "are allowed (GRAFT_MEMORY_LIMIT)" : "are available"}${largest ? `; the largest buffer is ${gib(largest.bytes)} (${largest.label})` : ""}. ` +
      `About ${part} % of this batch would fit; checkpoint() on some blocks also lowers the peak.`,
  );
}
