import { GraftError } from "../base/index.js";

/** What a traced function must do again at each replay (see `compile` in the runtime). */
export interface Trace {
  /** Keys of random ops, which draw new numbers. */
  readonly keys: Int32Array[];
  /** Host-side work, in order: counters, numbers that change from step to step. */
  readonly refresh: (() => void)[];
}

let current: Trace | undefined;

/** The trace that is being recorded, if one is. */
export const currentTrace = (): Trace | undefined => current;

/** Records what `body` draws and refreshes. A promise is traced until it settles. */
export async function traced<T>(body: () => T | Promise<T>): Promise<{ result: T; trace: Trace }> {
  if (current !== undefined) throw new GraftError("argument", "compile: a compiled function was called while another is being traced. Call the plain function inside, and compile the outer one only.");
  const trace: Trace = (current = { keys: [], refresh: [] });
  try {
    return { result: await body(), trace };
  } finally {
    current = undefined;
  }
}

/** Throws while a function is traced: there is no value to read then. */
export function refuseWhileTracing(what: string): void {
  if (current !== undefined) throw new GraftError("argument", `compile: ${what} reads a value while the function is traced. Return the tensor from the compiled function and read it outside.`);
}
