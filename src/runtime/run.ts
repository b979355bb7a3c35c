import type { Node, Tensor, TypedArray } from "../graph/index.js";
import type { Compiled } from "./plans.js";

/** Takes recorded assignments back: the tensors have their old nodes again. */
export function giveUp(assigned: readonly Tensor[], assignments: readonly Node[], olds: readonly Node[]): void {
  assigned.forEach((tensor, i) => {
    if (tensor.node === assignments[i]) tensor.node = olds[i];
  });
}

/**
 * A run about to start, with what it takes to undo its book-keeping. A class, and not closures over a run: V8 remembers which function a place in the code
 * has called, and with a closure the run, its graph and the memory of its results.
 */
export class Run {
  constructor(
    readonly nodes: readonly Node[],
    readonly compiled: Compiled,
    readonly slots: TypedArray[],
    private readonly outputs: readonly Node[],
    private readonly assignments: readonly Node[],
    private readonly assigned: readonly Tensor[],
    /** What the assignments overwrite, and its memory. */
    private readonly olds: readonly Node[],
    private readonly memory: readonly (TypedArray | undefined)[],
  ) {}

  /** The run has ended well. */
  commit(): void {
    for (const node of this.assignments) node.inputs = [];
    for (const node of this.outputs) if (!node.requiresGrad) node.inputs = []; // nothing will be differentiated through it
  }

  /** The run has failed: everything is as it was before. */
  rollback(): void {
    for (const node of this.outputs) node.value = undefined;
    this.assignments.forEach((node, i) => {
      this.olds[i].value = this.memory[i];
      this.olds[i].consumedBy = undefined;
      node.value = undefined;
    });
    giveUp(this.assigned, this.assignments, this.olds);
  }
}
