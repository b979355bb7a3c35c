import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

describe("resident memory", () => {
  it("stays flat while training (test/slow does it for 10,000 steps)", async () => {
    const script = fileURLToPath(new URL("./testing/memory-run.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script, "1600"]);
    const resident = JSON.parse(stdout) as number[];
    const most = (from: number, to: number): number => Math.max(...resident.slice(from, to));
    expect(resident.length).toBe(40);
    // 1,200 steps between the two: a leak of one 128 KiB batch per step would be 150 MiB
    expect(most(35, 40) - most(5, 10)).toBeLessThan(40);
  });
});
