import { env, GraftError } from "../base/index.js";
import { passKept, sizeOf, takeKept, type Node, type Tensor, type TypedArray } from "../graph/index.js";
import { clearPending, currentTrace, isPendingAssign, pendingAssigns, refuseWhileTracing } from "../ops/index.js";
import { collectNodes, type Plan } from "../plan/index.js";
import { compareWithReference } from "./compare.js";
import { currentBackend } from "./device.js";
import { giveTurn, hasRun, runsInline } from "./inline.js";
import { planFor, type Compiled } from "./plans.js";
import { addSpan, scopesOf, watchRun } from "./profile/session.js";
import { reportRun } from "./report.js";
import { giveUp, Run } from "./run.js";
import { nodesOf } from "./targets.js";

let last: Promise<void> = Promise.resolve();
let inFlight = 0;

/** Waits, on this thread, for runs that were started. */
export function waitForRuns(): void {
  if (inFlight > 0) currentBackend().waitIdle();
}

/** Resolves when all runs that were started have ended. */
export const runsEnded = (): Promise<void> => last;

/** The recorded assignments, which are now the caller's to perform. */
export function takeAssignments(): { assigned: Tensor[]; assignments: Node[] } {
  const assigned: Tensor[] = [];
  const assignments: Node[] = [];
  const uncomputed: Node[] = [];
  for (const tensor of pendingAssigns()) {
    if (!isPendingAssign(tensor.node)) continue;
    assigned.push(tensor);
    assignments.push(tensor.node);
    const [old] = tensor.node.inputs;
    if (old.value === undefined && old.op.trait !== "leaf") uncomputed.push(old);
  }
  if (uncomputed.length > 0) void start(bind(uncomputed, [], []), true); // initial values that nobody has asked for yet
  clearPending();
  return { assigned, assignments };
}

/** Collects, compiles and binds; from here on the nodes count as computed, so that what is recorded next builds on them. */
function prepare(targets: readonly Node[]): Run | undefined {
  const { assigned, assignments } = takeAssignments();
  const wanted = new Set<Node>(targets);
  if (assignments.length > 0) for (const node of takeKept()) wanted.add(node);
  const outputs = [...wanted].filter((node) => node.value === undefined && !isPendingAssign(node));
  const run = outputs.length === 0 && assignments.length === 0 ? undefined : bind(outputs, assignments, assigned);
  passKept();
  return run;
}

/** Parameters whose initial value is only recorded: to be computed once and stored, not again in every run that reads them. */
export const initialValues = (nodes: readonly Node[], outputs: readonly Node[]): Node[] =>
  nodes.filter((node) => node.variable !== undefined && node.value === undefined && node.op.trait !== "assign" && !outputs.includes(node));

/** Finds the plan for nodes and puts their memory in its slots. */
export function bind(outputs: readonly Node[], assignments: readonly Node[], assigned: readonly Tensor[]): Run {
  const began = performance.now();
  const backend = currentBackend();
  const olds = assignments.map((node) => node.inputs[0]);
  let nodes: Node[];
  let compiled: Compiled;
  try {
    nodes = collectNodes([...outputs, ...assignments]);
    const initial = initialValues(nodes, outputs);
    if (initial.length > 0) {
      void start(bind(initial, [], []), true);
      nodes = collectNodes([...outputs, ...assignments]);
    }
    compiled = planFor(backend, nodes, { outputs, assignments });
  } catch (error) {
    giveUp(assigned, assignments, olds);
    throw error;
  }
  const { plan } = compiled;
  let output = 0;
  const slots = plan.slots.map(({ kind, node, dtype, shape }): TypedArray => {
    if (kind !== "output") {
      const from = nodes[node];
      // What one step after another reads or overwrites: parameters, an optimiser's state, caches.
      if (kind === "assigned" || from.variable !== undefined) from.value = backend.adopt?.(from.value as TypedArray) ?? from.value;
      return from.value as TypedArray;
    }
    return (outputs[output++].value = backend.allocate(dtype, sizeOf(shape)));
  });
  const memory = olds.map((old) => old.value);
  assignments.forEach((node, i) => {
    node.value = memory[i];
    olds[i].value = undefined;
    olds[i].consumedBy = "an update (optimizer.step or assign)";
  });
  addSpan("plan", began);
  return new Run(nodes, compiled, slots, outputs, assignments, assigned, olds, memory);
}

/** What follows a run that has ended; `step` is the first with a result that is not finite, or -1. */
function finish(run: Run, step: number, started: number, watched: (() => void) | undefined, compare: (() => void) | undefined): void {
  hasRun(run.compiled, started);
  watched?.();
  if (step >= 0) throw notFinite(run.compiled.plan, run.nodes, step);
  if (env.debug > 0) reportRun(run.compiled, run.nodes, performance.now() - started);
  compare?.();
  run.commit();
}

/** Starts a run; returns a promise when the work went off the calling thread. */
export function start(run: Run, sync: boolean): Promise<void> | undefined {
  const { compiled, slots, nodes } = run;
  const { plan, loaded } = compiled;
  const started = performance.now();
  const check = env.check;
  const compare = env.compare === "reference" ? compareWithReference(plan, nodes, slots) : undefined;
  if (env.debug >= 2) currentBackend().profile(true);
  const watched = watchRun(compiled, () => scopesOf(compiled, nodes));
  if (sync || runsInline(compiled)) {
    try {
      finish(run, loaded.runSync(slots, check), started, watched, compare);
    } catch (error) {
      run.rollback();
      throw error;
    }
    return undefined;
  }
  inFlight++;
  const promise = loaded.run(slots, check).then((step) => finish(run, step, started, watched, compare)).then(
    () => void inFlight--,
    (error: unknown) => {
      inFlight--;
      run.rollback();
      throw error;
    },
  );
  last = promise.catch(() => undefined);
  return promise;
}

function notFinite(plan: Plan, nodes: readonly Node[], step: number): GraftError {
  const { label, origin } = plan.steps[step];
  const node = nodes[origin];
  const where = node.line === undefined ? "" : `, recorded at ${node.line}`;
  return new GraftError("numeric", `${label}: the first NaN or Inf of the step: ${node.op.name} ${node.dtype} [${node.shape.join(", ")}]${where}. Check its inputs (a division by 0, a log of 0, a learning rate that is too high).`);
}

/**
 * Computes the given tensors, and performs every recorded assignment (optimiser updates, running statistics), in one plan.
 *
 * Throws `argument` for anything but tensors, `stale` for a tensor recorded from a value that was overwritten, `memory` when the plan does not fit, `index` for labels out of range.
 * @example
 * await realize(loss, accuracy);
 */
export async function realize(...tensors: readonly Tensor[]): Promise<void> {
  if (currentTrace() !== undefined) {
    if (tensors.length > 0) refuseWhileTracing("realize()");
    return; // an optimiser's step: its updates are performed with the trace
  }
  const run = prepare(nodesOf("realize", tensors));
  await (run === undefined ? last : (start(run, false) ?? giveTurn()));
}

/** {@link realize} on the calling thread. */
export function realizeSync(...tensors: readonly Tensor[]): void {
  refuseWhileTracing("item() or dataSync()");
  const run = prepare(nodesOf("realizeSync", tensors));
  if (run !== undefined) void start(run, true);
  else waitForRuns();
}
