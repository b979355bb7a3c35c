import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The repository's root folder. */
export const root = fileURLToPath(new URL("../..", import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

export interface Result {
  readonly out: string;
  readonly err: string;
  readonly status: number;
}

/** Runs `programs/<name>.ts` in a process of its own, with these flags and no others. */
export function runProgram(name: string, flags: Readonly<Record<string, string>> = {}, tree = root): Promise<Result> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(GRAFT_|NODE_OPTIONS|VITEST|NODE_V8)/.test(key)));
  return new Promise((resolve) => {
    const args = ["--import", tsx, join(tree, "test/native/programs", `${name}.ts`)];
    execFile(process.execPath, args, { cwd: tree, env: { ...env, ...flags }, encoding: "utf8" }, (error, out, err) => resolve({ out, err, status: error === null ? 0 : ((error.code as number | undefined) ?? 1) }));
  });
}
