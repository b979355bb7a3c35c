import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { root } from "./peer.js";
import type { Round } from "./report.js";

const failed = (error: string): Round => ({ times: [], rss: 0, error });

/** A running process that steps one workload when told to. */
export class Runner {
  private readonly child: ChildProcessWithoutNullStreams;
  private waiting: ((round: Round) => void) | undefined;
  private log = "";
  private ended: string | undefined;

  constructor([program, ...args]: readonly string[]) {
    this.child = spawn(program, args, { cwd: root, stdio: "pipe" });
    this.child.stderr.on("data", (chunk: Buffer) => (this.log = (this.log + chunk.toString()).slice(-4000)));
    this.child.stdin.on("error", () => undefined); // it has ended, which "close" tells
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      if (line.startsWith("{")) this.settle(JSON.parse(line) as Round);
    });
    this.child.on("error", (error) => this.end(error.message));
    this.child.on("close", (code, signal) => this.end(`ended with ${code ?? signal}: ${reasonIn(this.log)}`));
  }

  private settle(round: Round): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.(round);
  }

  private end(reason: string): void {
    this.ended ??= reason;
    this.settle(failed(this.ended));
  }

  /** Steps for that long; never rejects. */
  round(milliseconds: number): Promise<Round> {
    return new Promise((resolve) => {
      if (this.ended !== undefined) return resolve(failed(this.ended));
      this.waiting = resolve;
      this.child.stdin.write(`${JSON.stringify({ milliseconds })}\n`);
    });
  }

  /** Ends the process; resolves when it has. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.ended !== undefined) return resolve();
      this.child.once("close", () => resolve());
      this.child.kill();
    });
  }
}

/** The line of a log that says most: the last one that names an error, or the last. */
export function reasonIn(log: string): string {
  const lines = log.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.findLast((line) => /^[\w.]*(Error|Exception)\b/.test(line)) ?? lines.at(-1) ?? "it said nothing";
}
