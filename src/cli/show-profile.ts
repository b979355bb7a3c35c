import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GraftError } from "../base/index.js";
import { writeFileAtomic } from "../io/index.js";
import type { Profile } from "../runtime/index.js";
import { Interrupted } from "./exit.js";
import { note, print } from "./output.js";

/** Throws before anything runs when the trace could not be written after it. `flag`: the command and its flag. */
export async function checkTrace(flag: string, trace: string): Promise<void> {
  const [folder, file] = await Promise.all([stat(dirname(trace)).catch(() => undefined), stat(trace).catch(() => undefined)]);
  if (!folder?.isDirectory()) throw new GraftError("file", `${flag} ${trace}: there is no folder ${dirname(trace)}. Make it, or write the trace elsewhere.`);
  if (file?.isDirectory()) throw new GraftError("file", `${flag} ${trace} is a folder. Name a file, ${join(trace, "trace.json")} say.`);
}

/** Prints the tables, or all as JSON, and writes the trace. Throws `Interrupted` where steps are missing because the user ended it. */
export async function showProfile(found: Profile, { steps, top, json = false, trace }: { steps: number; top: number; json?: boolean; trace?: string }): Promise<void> {
  if (found.steps > 0) {
    if (trace !== undefined) await writeFileAtomic(trace, JSON.stringify(found.trace()));
    print(json ? JSON.stringify(found) : found.toString(top));
    if (trace !== undefined) note(`trace of ${found.steps} steps in ${trace}: open it in ui.perfetto.dev or chrome://tracing`);
  }
  if (found.steps < steps) throw new Interrupted();
}
