import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { vi } from "vitest";
import { main } from "../../src/cli/index.js";

const bin = fileURLToPath(new URL("../../bin/graft.js", import.meta.url));

/** What a command left. */
export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** How a command is started. */
export interface Start {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What comes in at stdin; null leaves it open, for `seen` to write to. Default: nothing comes. */
  readonly input?: string | null;
  /** Called at once. */
  readonly started?: (child: ChildProcess) => void;
  /** Called with everything printed so far. */
  readonly seen?: (out: string, child: ChildProcess) => void;
}

/** Runs `graft <args>` as a user would, as a process of its own. */
export function graft(args: readonly string[], { cwd, env, seen, started, input }: Start = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], { cwd, env: { ...process.env, GRAFT_DATA: "", GRAFT_DEBUG: "", ...env }, stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"] });
    started?.(child);
    if (typeof input === "string") child.stdin!.end(input);
    let [out, err] = ["", ""];
    child.stdout!.on("data", (text: Buffer) => {
      out += text.toString();
      seen?.(out, child);
    });
    child.stderr!.on("data", (text: Buffer) => (err += text.toString()));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** Runs the same command line in this process, which is faster: for the many cases that end with a message. */
export async function here(args: readonly string[], { cwd = "." }: { readonly cwd?: string } = {}): Promise<Outcome> {
  let [out, err] = ["", ""];
  const output = vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((out += String(text))));
  const errors = vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((err += String(text))));
  const before = process.cwd();
  try {
    process.chdir(cwd);
    return { code: await main(args), out, err };
  } finally {
    process.chdir(before);
    output.mockRestore();
    errors.mockRestore();
  }
}

/** A folder for one test file, and how to remove it. */
export function scratch(): { readonly dir: string; readonly remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), "graft-cli-"));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

export const example = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
export const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
