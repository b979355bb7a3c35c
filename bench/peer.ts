import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Round } from "./workloads.js";

/** A library to measure: how to start a process that answers rounds for one workload, and whether it is installed. */
export interface Peer {
  readonly name: string;
  readonly command: (workload: string) => readonly string[];
  /** Undefined when it can run, otherwise what to do to have it. */
  readonly missing: string | undefined;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const tsx = ["--import", "tsx"];
const npmPeer = (name: string, file: string, module: string): Peer => ({
  name,
  command: (workload) => [process.execPath, ...tsx, here(`peers/${file}`), workload],
  missing: existsSync(here(`peers/node_modules/${module}`)) ? undefined : "npm run bench:peers installs it",
});

/** All peers; Graft first. PyTorch is looked for in the Python that GRAFT_BENCH_PYTHON names (default python3). */
export function allPeers(pythonHasTorch: boolean, python: string): Peer[] {
  return [
    { name: "graft", command: (workload) => [process.execPath, ...tsx, here("peers/graft.ts"), workload], missing: undefined },
    { name: "graft compile", command: (workload) => [process.execPath, ...tsx, here("peers/graft.ts"), workload, "compile"], missing: undefined },
    { name: "pytorch", command: (workload) => [python, here("peers/pytorch.py"), workload], missing: pythonHasTorch ? undefined : "install torch and set GRAFT_BENCH_PYTHON" },
    npmPeer("tfjs wasm", "tfjs.mjs", "@tensorflow/tfjs-backend-wasm"),
    npmPeer("jax-js wasm", "jax.mjs", "@jax-js/jax"),
  ];
}

/** A running process that steps one workload when told to. */
export class Runner {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly waiting: ((line: string) => void)[] = [];
  private log = "";

  constructor(peer: Peer, workload: string) {
    const [program, ...args] = peer.command(workload);
    this.child = spawn(program, args, { cwd: here(".."), stdio: "pipe" });
    this.child.stderr.on("data", (chunk: Buffer) => (this.log = (this.log + chunk.toString()).slice(-2000)));
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      if (line.startsWith("{")) this.waiting.shift()?.(line);
    });
    this.child.on("exit", (code) => {
      const reason = this.log.trim().split("\n").at(-1) ?? "";
      for (const settle of this.waiting.splice(0)) settle(JSON.stringify({ times: [], rss: 0, error: `ended with ${code}: ${reason}` }));
    });
  }

  round(milliseconds: number): Promise<Round> {
    return new Promise((resolve) => {
      if (this.child.exitCode !== null) return resolve({ times: [], rss: 0, error: "ended" });
      this.waiting.push((line) => resolve(JSON.parse(line) as Round));
      this.child.stdin.write(`${JSON.stringify({ milliseconds })}\n`);
    });
  }

  stop(): void {
    this.child.kill();
  }
}
