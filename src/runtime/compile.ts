import { GraftError } from "../base/index.js";
import { fromData, leafNode, sizeOf, takeKept, Tensor, type TypedArray } from "../graph/index.js";
import { redraw, traced, type Trace } from "../ops/index.js";
import { currentBackend } from "./device.js";
import { giveTurn, hasRun, runsInline } from "./inline.js";
import type { Compiled } from "./plans.js";
import { profiling, scopesOf, watchRun, type PlanScopes } from "./profile/session.js";
import { bind, realize, start, takeAssignments, waitForRuns } from "./realize.js";

/** What a compiled function may return. */
type Returned = Tensor | Tensor[];

/** Everything that a replay needs: no graph, no recording. */
interface Recording {
  readonly compiled: Compiled;
  readonly trace: Trace;
  /** For each slot where its memory comes from: an argument, a tensor (its current value), or fixed memory. Undefined for results. */
  readonly sources: readonly ({ readonly argument: number } | { readonly tensor: Tensor } | { readonly memory: TypedArray } | undefined)[];
  /** Tensors that the function overwrites. */
  readonly assigned: readonly Tensor[];
  readonly single: boolean;
  /** Who recorded it, where it was traced in a profile. */
  readonly scopes: PlanScopes | undefined;
}

/**
 * Traces `f` once per shapes and dtypes of its arguments and replays it from then on without recording anything: for steps so small that
 * recording costs more than computing. Parameters, optimiser steps (`optimizer.step()` inside needs no await), running statistics and random
 * numbers go on as if it were called. Branches on anything but the arguments' shapes are frozen as they were at the first call, values cannot
 * be read inside, and an optimiser must be one whose update has the same form at every step.
 *
 * @example
 * const step = compile((x, y) => {
 *   optimizer.zeroGrad();
 *   const loss = F.crossEntropy(model.forward(x), y);
 *   loss.backward();
 *   void optimizer.step();
 *   return loss;
 * });
 * for (const [x, y] of batches) console.log((await step(x, y)).item());
 */
export function compile<R extends Returned>(f: (...inputs: Tensor[]) => R | Promise<R>): (...inputs: Tensor[]) => Promise<R> {
  const recordings = new Map<string, Recording>();
  return async (...inputs) => {
    const backend = currentBackend();
    let key: string = backend.name;
    for (const x of inputs) {
      if (!(x instanceof Tensor)) throw new GraftError("argument", "compile: every argument of a compiled function must be a Tensor. Close over other values, or compile one function per value.");
      key += `|${x.dtype}${x.shape.join()}`;
      if (x.node.value === undefined) await realize(x);
    }
    const recording = recordings.get(key);
    if (recording !== undefined) return (await replay(recording, inputs)) as R;
    const first = await record(f, inputs);
    recordings.set(key, first.recording);
    return first.result;
  };
}

/** Runs `f` on stand-ins that share the arguments' memory, computes the result, and keeps what a replay needs. */
async function record<R extends Returned>(f: (...inputs: Tensor[]) => R | Promise<R>, inputs: readonly Tensor[]): Promise<{ recording: Recording; result: R }> {
  await realize(); // what was recorded before is not part of the trace
  const standIns = inputs.map((x) => fromData(x.node.value as TypedArray, x.shape, x.dtype));
  const { result, trace } = await traced(() => f(...standIns));
  const single = result instanceof Tensor;
  const outputs: readonly Tensor[] = single ? [result] : (result as Tensor[]);
  takeKept(); // only what is returned is computed
  const { assigned, assignments } = takeAssignments();
  const fresh = [...new Set(outputs.map((output) => output.node))].filter((node) => node.value === undefined && !assignments.includes(node));
  if (fresh.length < outputs.length) {
    assigned.forEach((tensor, i) => (tensor.node = assignments[i].inputs[0]));
    throw new GraftError("argument", "compile: the function must return computed tensors, each once: not an argument, a parameter or the same tensor twice. Return x.mul(1), say.");
  }
  const run = bind(fresh, assignments, assigned);
  const standInOf = new Map(standIns.map((x, i) => [x.node, i]));
  const assignedOf = new Map(assignments.map((node, i) => [node.inputs[0], assigned[i]]));
  const sources = run.compiled.plan.slots.map(({ kind, node: at }, slot) => {
    if (kind === "output") return undefined;
    const node = run.nodes[at];
    const argument = standInOf.get(node);
    if (argument !== undefined) return { argument };
    const tensor = assignedOf.get(node) ?? node.variable;
    return tensor === undefined ? { memory: run.slots[slot] } : { tensor };
  });
  const scopes = profiling() ? scopesOf(run.compiled, run.nodes) : undefined;
  await start(run, false);
  return { recording: { compiled: run.compiled, trace, sources, assigned, single, scopes }, result };
}

async function replay({ compiled, trace, sources, assigned, single, scopes }: Recording, inputs: readonly Tensor[]): Promise<Returned> {
  waitForRuns(); // a run in flight may still read the numbers that are refreshed now
  for (const refresh of trace.refresh) refresh();
  redraw(trace.keys);
  const backend = currentBackend();
  const { plan, loaded } = compiled;
  const results: Tensor[] = [];
  const slots = sources.map((source, i): TypedArray => {
    if (source === undefined) {
      const { dtype, shape } = plan.slots[i];
      const memory = backend.allocate(dtype, sizeOf(shape));
      results.push(fromData(memory, shape, dtype));
      return memory;
    }
    if ("memory" in source) return source.memory;
    const memory = ("argument" in source ? inputs[source.argument] : source.tensor).node.value;
    if (memory === undefined) throw new GraftError("stale", "compile: a parameter of a compiled function has a recorded value that was not computed. Await realize() first.");
    return memory;
  });
  const watched = watchRun(compiled, () => scopes);
  const started = performance.now();
  const inline = runsInline(compiled);
  if (inline) loaded.runSync(slots, false);
  else await loaded.run(slots, false);
  hasRun(compiled, started);
  watched?.();
  for (const tensor of assigned) {
    const old = tensor.node;
    tensor.node = leafNode(old.value, old.shape, old.dtype); // graphs recorded on the old value must not read the new one
    tensor.node.requiresGrad = old.requiresGrad;
    tensor.node.variable = old.variable;
    if (old.variable !== undefined) tensor.node.hooks = old.hooks;
    old.value = undefined;
    old.consumedBy = "a compiled step";
  }
  if (inline) await giveTurn();
  return single ? results[0] : results;
}
