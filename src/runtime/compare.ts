import { GraftError } from "../base/index.js";
import { allocate, decode, isFloat, sizeOf, type DType, type Node, type TypedArray } from "../graph/index.js";
import { compileGraph, type Plan } from "../plan/index.js";
import { referenceBackend } from "../backend/index.js";
import { targetOf } from "./plans.js";

/** How far a result may be from the reference, by dtype: |a - b| <= atol + rtol |b|. */
export const tolerance: Readonly<Record<DType, { readonly rtol: number; readonly atol: number }>> = {
  f64: { rtol: 1e-9, atol: 1e-11 },
  f32: { rtol: 1e-4, atol: 1e-5 },
  bf16: { rtol: 1e-2, atol: 1e-3 },
  f16: { rtol: 2e-3, atol: 1e-4 },
  i32: { rtol: 0, atol: 0 },
  u8: { rtol: 0, atol: 0 },
  bool: { rtol: 0, atol: 0 },
};

/** For each node the float dtype of the coarsest arithmetic that leads to it, or its own: an f64 that was converted from an f32 result has the digits of an f32. `nodes`: inputs before users. */
function coarsest(nodes: readonly Node[]): Map<Node, DType> {
  const found = new Map<Node, DType>();
  for (const node of nodes) {
    const given = node.value !== undefined; // exact, whatever its dtype
    const from = given ? [] : node.inputs.map((input) => found.get(input)).filter((dtype) => dtype !== undefined);
    if (isFloat(node.dtype)) found.set(node, from.reduce((a, b) => (tolerance[b].rtol > tolerance[a].rtol ? b : a), given ? "f64" : node.dtype));
  }
  return found;
}

/**
 * GRAFT_COMPARE=reference: runs the same graph on the reference backend with copies of the inputs; the function it returns compares the results
 * once the run has ended, and throws `backend` naming the first that differs.
 */
export function compareWithReference(plan: Plan, nodes: readonly Node[], slots: readonly TypedArray[]): () => void {
  const outputs = plan.slots.filter(({ kind }) => kind === "output").map(({ node }) => nodes[node]);
  const assignments = nodes.filter((node) => node.op.trait === "assign" && plan.slots.some(({ kind, node: old }) => kind === "assigned" && nodes[old] === node.inputs[0]));
  // the nodes count as computed by now; the reference sees them as they were
  const values = nodes.map((node) => node.value);
  for (const node of [...outputs, ...assignments]) node.value = undefined;
  plan.slots.forEach(({ kind, node }, i) => {
    if (kind === "assigned") nodes[node].value = slots[i];
  });
  const precision = coarsest(nodes);
  for (const node of assignments) precision.set(node.inputs[0], precision.get(node) ?? node.dtype); // its slot receives the new value
  let reference: Plan;
  try {
    reference = compileGraph(nodes, { outputs, assignments }, targetOf(referenceBackend));
  } finally {
    nodes.forEach((node, i) => void (node.value = values[i]));
  }
  const own = reference.slots.map((slot) => {
    if (slot.kind === "output") return allocate(slot.dtype, sizeOf(slot.shape));
    const at = plan.slots.findIndex(({ kind, node }) => kind !== "output" && node === slot.node);
    return at >= 0 ? slots[at].slice() : (values[slot.node] as TypedArray).slice();
  });
  referenceBackend.load(reference).runSync(own, false);
  return () => {
    reference.slots.forEach((slot, i) => {
      if (slot.kind === "input") return;
      const at = plan.slots.findIndex(({ kind, node }) => kind === slot.kind && node === slot.node);
      const { rtol, atol } = tolerance[precision.get(nodes[slot.node]) ?? slot.dtype];
      slots[at].forEach((raw, j) => {
        const [a, b] = [decode(slot.dtype, raw), decode(slot.dtype, own[i][j])];
        if (Object.is(a, b) || a === b || Math.abs(a - b) <= atol + rtol * Math.abs(b)) return;
        const node = nodes[slot.node];
        throw new GraftError("backend", `GRAFT_COMPARE: ${node.op.name} [${slot.shape.join(", ")}] differs from the reference at element ${j}: ${a}, expected ${b}. This is a bug in Graft's kernels.`);
      });
    });
  };
}
