import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("10,000 steps of training keep resident memory flat", { timeout: 300_000 }, async () => {
  const script = fileURLToPath(new URL("../../src/train/testing/memory-run.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script, "10000"]);
  const resident = JSON.parse(stdout) as number[];
  const most = (from: number, to: number): number => Math.max(...resident.slice(from, to));
  // after the first quarter, in which the heap takes its size: 7,500 steps, of 128 KiB of data each
  expect(most(30, 40) - most(10, 20)).toBeLessThan(24);
});
