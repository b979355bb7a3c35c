import { keepNode, takeKept, Tensor, type Node } from "../graph/index.js";
import { clearPending, isPendingAssign, pendingAssigns } from "../ops/index.js";
import { collectNodes, compileGraph } from "../plan/index.js";
import { currentBackend } from "./device.js";
import { slotBytes, targetOf } from "./plans.js";
import { initialValues, realizeSync } from "./realize.js";

/** What a plan would take to run. */
export interface PlanInfo {
  /** Floating point operations; a multiply-add counts as two. */
  readonly flops: number;
  /** Kernel calls. */
  readonly steps: number;
  /** Working memory that is only needed while the plan runs. */
  readonly arenaBytes: number;
  /** New results that stay. */
  readonly outputBytes: number;
  /** What is there before: weights, optimiser state, the batch. */
  readonly inputBytes: number;
  /** All three: the most that is in use at one time. */
  readonly peakBytes: number;
}

/**
 * Forgets every assignment that is recorded but not computed, and every tensor that waits to be kept: after an error in the middle of recording a step, the
 * next step must not carry out half of it. The tensors have their old values again.
 */
export function discardPending(): void {
  for (const tensor of pendingAssigns()) if (isPendingAssign(tensor.node)) tensor.node = tensor.node.inputs[0];
  clearPending();
  takeKept();
}

/**
 * Compiles what `body` records (tensors that it returns or keeps, and every assignment) for the present backend, and takes the recording back: nothing
 * is computed or changed, but initial values that nobody has asked for yet. What was pending before is computed first.
 * @example
 * const { flops, peakBytes } = planOf(() => { loss(batch).backward(); optimizer.record(); });
 */
export function planOf(body: () => readonly Tensor[] | void): PlanInfo {
  realizeSync();
  const kept = takeKept();
  let outputs: Node[];
  let assignments: Node[];
  try {
    const targets = body() ?? [];
    outputs = [...new Set([...targets.map(({ node }) => node), ...takeKept()])].filter((node) => node.value === undefined && !isPendingAssign(node));
    assignments = [...pendingAssigns()].map(({ node }) => node).filter(isPendingAssign);
  } finally {
    discardPending();
    for (const node of kept) {
      node.keep = false; // or keepNode would take it for known
      keepNode(node);
    }
  }
  // As in a real run, initial values are there before the step: those that it overwrites, and those of frozen parameters.
  const overwritten = assignments.map((node) => node.inputs[0]).filter((old) => old.value === undefined);
  const unknown = [...new Set([...overwritten, ...initialValues(collectNodes([...outputs, ...assignments]), outputs)])];
  if (unknown.length > 0) realizeSync(...unknown.map((node) => new Tensor(node)));
  const backend = currentBackend();
  const plan = compileGraph(collectNodes([...outputs, ...assignments]), { outputs, assignments }, targetOf(backend));
  const [outputBytes, inputBytes] = [slotBytes(plan, true), slotBytes(plan, false)];
  return { flops: plan.flops, steps: plan.steps.length, arenaBytes: plan.arenaBytes, outputBytes, inputBytes, peakBytes: plan.arenaBytes + outputBytes + inputBytes };
}
