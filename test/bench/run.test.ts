import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { Report } from "../../bench/report.js";
import { root } from "../house/tree.js";

const folder = mkdtempSync(join(tmpdir(), "graft-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ["--import", "tsx", "bench/run.ts", ...args], { cwd: root, encoding: "utf8" });
}

it("measures, writes the results and puts the table into a page, also later from the file", () => {
  const [json, page] = [join(folder, "a.json"), join(folder, "page.md")];
  const empty = "prose\n<!-- bench:small -->\n<!-- /bench:small -->\nprose\n";
  writeFileSync(page, empty);
  const run = bench("--filter", "xor", "--peers", "graft", "--seconds", "0.02", "--rounds", "1", "--json", json, "--markdown", page);
  expect([run.status, run.stderr]).toEqual([0, expect.stringContaining("1 of 1: xor_b4")]);
  expect(run.stdout).toMatch(/^xor_b4 +graft +\d/m);
  const { results, versions } = JSON.parse(readFileSync(json, "utf8")) as Report;
  expect(results).toMatchObject([{ workload: "xor_b4", peer: "graft", group: "small", ratio: 1 }]);
  expect(results[0].kernels).toBeGreaterThan(0);
  expect(results[0].kernels).toBeLessThan(results[0].median!);
  expect(Object.keys(versions)).toEqual(["Node", "Graft"]);
  const written = readFileSync(page, "utf8");
  expect(written).toMatch(/^prose\n<!-- bench:small -->\n.*\n(.*\n)+<!-- \/bench:small -->\nprose\n$/);
  writeFileSync(page, empty);
  expect(bench("--from", json, "--markdown", page).status).toBe(0);
  expect(readFileSync(page, "utf8")).toBe(written);
  expect(bench("--compare", json, json).stdout).toMatch(/xor_b4 +graft .* 1\.00x +1\.00x +1\.00x/);
});

it("says what is wrong before anything is measured", () => {
  const page = join(folder, "bare.md");
  writeFileSync(page, "prose\n");
  const run = bench("--filter", "xor", "--peers", "graft", "--markdown", page);
  expect([run.status, run.stdout]).toEqual([1, ""]);
  expect(run.stderr).toBe(`bench: ${page} needs <!-- bench:small --> and <!-- /bench:small --> once, in this order, each on a line of its own. The table goes between them.\n`);
});
