import { GraftError } from "../base/index.js";
import { note } from "./output.js";

/** What the process returns: done, a mistake in the input, a mistake in the command line, ended by Ctrl-C (128 + 2). */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Ends a command because the user asked for it. */
export class Interrupted extends Error {
  constructor(message = "interrupted") {
    super(message);
    this.name = "Interrupted";
  }
}

/** A command line that cannot be understood. */
export class UsageError extends Error {}

const debug = (): boolean => !["", "0", undefined].includes(process.env.GRAFT_DEBUG);

/** Says what went wrong, in one paragraph, and gives the exit code. `GRAFT_DEBUG=1` adds where. */
export function report(error: unknown): number {
  const { code, exitCode } = error as { code?: unknown; exitCode?: unknown }; // of commander, which has said it and is loaded only where it is needed
  if (typeof code === "string" && code.startsWith("commander.")) return exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof Interrupted) return exitCodes.interrupted;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) {
    note(`graft: ${message}`);
    return exitCodes.usage;
  }
  if (error instanceof GraftError) note(`graft: ${message}`);
  else note(`graft: ${error instanceof Error && error.name !== "Error" ? `${error.name}: ` : ""}${message}`);
  if (debug() && error instanceof Error) note(error.stack ?? "");
  else if (!(error instanceof GraftError)) note("GRAFT_DEBUG=1 shows where.");
  return exitCodes.failed;
}
