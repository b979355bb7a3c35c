import type { Compiled } from "./plans.js";

/** Below this much work (operations and elements moved) a plan runs on the calling thread from the first time on. */
const inlineCost = 400_000;
/**
 * So does one that was once seen to take less than this many milliseconds: the hop to a worker and back costs about a tenth of one, and up to one where three
 * threads (this one, the worker, a second one of the kernels) meet on two cores. A frame of a screen takes as long.
 */
const inlineMilliseconds = 16;
/** A loop of such steps never waits for anything, so it would keep timers and messages waiting; after this many milliseconds they have their turn. */
const turnEvery = 8;

let turned = 0;

/** Whether a plan runs on the calling thread. */
export const runsInline = ({ plan, timing }: Compiled): boolean => plan.cost < inlineCost || timing.fastest < inlineMilliseconds;

/** A run that was started at `from` has ended. */
export function hasRun({ timing }: Compiled, from: number): void {
  timing.fastest = Math.min(timing.fastest, performance.now() - from);
}

/** After a run on the calling thread: a promise that lets the event loop turn, where it has not for a while. */
export function giveTurn(): Promise<void> | undefined {
  const now = performance.now();
  if (now - turned < turnEvery) return undefined;
  turned = now;
  return new Promise((resolve) => setImmediate(resolve));
}
