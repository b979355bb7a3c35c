/**
 * The one error type that Graft throws for a user's mistake or a machine's limit.
 *
 * `code` is stable and meant for programs; the message is meant for people and has the form
 * `what: what is wrong: the values, with names and shapes. How to fix it`.
 *
 * @example
 * try { a.matmul(b); } catch (e) { if (e instanceof GraftError && e.code === "shape") console.error(e.message); }
 */
export class GraftError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "GraftError";
    this.code = code;
  }
}

/** Stable error codes. */
export type ErrorCode =
  | "argument" // a value out of range or of the wrong kind
  | "shape" // shapes that do not fit
  | "dtype" // element types that do not fit
  | "index" // an index or label out of range
  | "gradient" // backward() that cannot be done
  | "stale" // a tensor whose inputs were overwritten before it was computed
  | "numeric" // NaN or Inf where GRAFT_CHECK=1 looks for it, a matrix that is not invertible
  | "memory" // a step that does not fit
  | "backend" // a kernel or a backend that is missing or failed
  | "file" // a file that is missing, truncated, hostile or cannot be written
  | "format" // a file or config whose content is wrong
  | "config" // unknown keys, missing settings
  | "state" // a state dict, checkpoint or object that does not fit
  | "network"; // something that had to be fetched and could not be
