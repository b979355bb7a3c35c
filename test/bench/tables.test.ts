import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compare } from "../../bench/compare.js";
import { checkMarkers, replaceGroup } from "../../bench/markdown.js";
import { readReport, resultsOf, type Report, type Result, type Round } from "../../bench/report.js";
import { reasonIn } from "../../bench/runner.js";
import { groupRows, limitsLine, markdownTable, tableRows, textTable } from "../../bench/table.js";
import type { Workload } from "../../bench/workloads.js";

const folder = mkdtempSync(join(tmpdir(), "graft-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: unknown): string => {
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  return join(folder, name);
};

const limits = { peak: 200, copy: 25, plainCopy: 15 };
const step: Workload = { name: "step", group: "language", what: "a step", flops: 1e9, tokens: 50 };
const copy: Workload = { name: "kernel_copy", group: "kernels", what: "a copy; x read, y written", bytes: 9e7 };
const round = (...times: number[]): Round => ({ times, rss: 2 ** 27, first: 100 });
const graft = (...times: number[]): Map<string, Round> => new Map([["graft", round(...times)]]);
const results = resultsOf(step, new Map([...graft(12, 10, 11), ["pytorch", round(22, 21, 23)], ["jax-wasm", { times: [], rss: 0, error: "has | none" }]]), limits);
const kernel = resultsOf(copy, graft(5, 6, 8), limits);
const report: Report = { machine: "M", date: "2026-11-25", versions: { Node: "20", Graft: "1" }, command: "npm run bench", results: [...results, ...kernel] };

describe("results", () => {
  it("count medians, rates and shares of the limit that applies", () => {
    expect(results[0]).toMatchObject({ median: 11, minimum: 10, ratio: 1, gflops: 1e9 / 11e6, share: 1e9 / 11e6 / 200, steps: 3, tokensPerSecond: 50000 / 11 });
    expect(results[1].ratio).toBe(2);
    expect(results[2]).toEqual({ workload: "step", group: "language", what: "a step", peer: "jax-wasm", error: "has | none" });
    expect(kernel[0]).toMatchObject({ median: 6, bandwidth: 15, share: 0.6 });
  });

  it("tell what the time inside kernels alone would give", () => {
    const [row] = resultsOf(copy, new Map([["graft", { ...round(6), kernels: [5, 4, 9] }]]), limits);
    expect(row).toMatchObject({ share: 0.6, kernels: 5, kernelShare: 0.72 });
    expect(tableRows([row])).toEqual([
      ["workload", "peer", "median ms", "min ms", "ratio", "GB/s", "of limit", "kernels ms", "of limit", "peak MiB", "first ms"],
      ["kernel_copy", "graft", "6.000", "6.000", "1.00x", "15.00", "60.0 %", "5.000", "72.0 %", "128", "100"],
    ]);
  });

  it("have no ratio without Graft and no share without limits", () => {
    const [row] = resultsOf(step, new Map([["pytorch", round(2)]]), undefined);
    expect([row.ratio, row.share]).toEqual([undefined, undefined]);
    expect(tableRows([row])[0]).toEqual(["workload", "peer", "median ms", "min ms", "GFLOP/s", "peak MiB", "first ms", "tokens/s"]);
  });
});

describe("tables", () => {
  it("line up in a terminal, without columns that nothing fills", () => {
    expect(textTable(tableRows(results))).toBe(
      "workload  peer      median ms  min ms  ratio  GFLOP/s  of limit  peak MiB  first ms  tokens/s\n" +
        "step      graft         11.00   10.00  1.00x    90.91    45.5 %       128       100      4545\n" +
        "step      pytorch       22.00   21.00  2.00x    45.45    22.7 %       128       100      2273\n" +
        "step      jax-wasm  cannot run it: has | none\n",
    );
  });

  it("are Markdown with as many cells in every row", () => {
    const lines = markdownTable(tableRows([...results, ...kernel])).trimEnd().split("\n");
    expect(lines[1]).toMatch(/^\|-+\|-+\|(-+:\|)+$/);
    expect(new Set(lines.map((line) => line.replaceAll("\\|", "").split("|").length)).size).toBe(1);
    expect(lines[4]).toContain("cannot run it: has \\| none");
    expect(lines[5]).toMatch(/\| +15\.00 \| +60\.0 % \|/);
  });

  it("have functions in a row each, their peers side by side", () => {
    const of = (name: string, what: string, pytorch: Round): Result[] => resultsOf({ name, group: "functions", what }, new Map([...graft(2), ["pytorch", pytorch]]), limits);
    const [first, second, broken] = [of("fn_b", "[2, 2]", round(3)), of("fn_a", "[2, 2]", round(11)), of("fn_c", "[3]", { times: [], rss: 0, error: "none" })];
    expect(first[0]).toMatchObject({ median: 2, gflops: undefined, bandwidth: undefined, share: undefined });
    expect(textTable(groupRows("functions", [...first, ...second]))).toBe(
      "function  graft ms  pytorch ms  ratio\n" +
        "fn_b         2.000       3.000  1.50x\n" +
        "fn_a         2.000       11.00  5.50x\n",
    );
    expect(textTable(groupRows("functions", [...first, ...broken]))).toMatch(/ {2}ratio {2}cannot run it\nfn_b .*1\.50x\nfn_c {9}2\.000 {21}pytorch: none\n$/);
    expect(groupRows("functions", [first[1]])).toEqual([["function", "pytorch ms", "ratio"], ["fn_b", "3.000", "1.50x"]]);
    const page = replaceGroup("<!-- bench:functions -->\n<!-- /bench:functions -->\n", "p.md", { ...report, results: [...first, ...second, ...broken] }, "functions");
    expect(page).toContain("| fn_b     |    2.000 |      3.000 | 1.50x |");
    expect(page).toContain("\n\n- `fn_b`, `fn_a`: [2, 2]\n- `fn_c`: [3]\n<!--");
  });

  it("state the limits", () => {
    expect(limitsLine(report)).toMatch(/200 GFLOP\/s .* 25\.0 GB\/s .*15\.0 GB\/s/);
    expect(limitsLine({ results: [] })).toMatch(/unknown/);
  });
});

describe("a page", () => {
  const page = "# Speed\nprose\n<!-- bench:language -->\nold\n<!-- /bench:language -->\nmore\n<!-- bench:kernels -->\n<!-- /bench:kernels -->\nend\n";

  it("gets the table of a group between its markers; all else stays", () => {
    const once = replaceGroup(page, "p.md", report, "language");
    expect(once.startsWith("# Speed\nprose\n<!-- bench:language -->\nM; 2026-11-25; Node 20, Graft 1; `npm run bench`.\n")).toBe(true);
    expect(once).toContain("- `step`: a step\n<!-- /bench:language -->\nmore\n<!-- bench:kernels -->\n<!-- /bench:kernels -->\nend\n");
    expect(once).not.toContain("old");
    expect(once).not.toContain("kernel_copy");
    expect(replaceGroup(once, "p.md", report, "language")).toBe(once);
    expect(replaceGroup(once, "p.md", report, "kernels")).toContain("x read, y written\n<!-- /bench:kernels -->");
  });

  it.each([["", "small"], ["<!-- bench:small -->", "small"], ["<!-- /bench:small --><!-- bench:small -->", "small"], [page + page, "language"]] as const)("must have the markers once and in order: %j", (text, group) => {
    expect(() => checkMarkers(text, "p.md", group)).toThrow(/p\.md needs <!-- bench:(small|language) -->/);
  });
});

describe("two files", () => {
  it("are compared where both have a row", () => {
    const faster = { ...report, results: resultsOf(step, new Map([...graft(5.5), ["tfjs-wasm", round(1)]]), limits) };
    expect(compare(file("a.json", report), file("b.json", faster))).toEqual([
      ["workload", "peer", "median A", "median B", "faster", "by min", "memory"],
      ["step", "graft", "11.000", "5.500", "2.00x", "1.82x", "1.00x"],
    ]);
  });

  it("must be readable and have something in common", () => {
    const good = file("a.json", report);
    expect(() => compare(good, join(folder, "none.json"))).toThrow(/none\.json cannot be read/);
    expect(() => compare(good, file("c.json", "{"))).toThrow(/c\.json cannot be read/);
    expect(() => compare(file("d.json", "null"), good)).toThrow(/d\.json holds no results/);
    expect(() => compare(good, file("e.json", { results: [] }))).toThrow(/no workload and peer in common/);
    expect(readReport(good)).toEqual(report);
  });
});

it("the reason in a log is its last line with an error", () => {
  expect(reasonIn("Traceback:\n  File x\nModuleNotFoundError: No module named 'peft'\nSet TORCH_LOGS for more\n")).toBe("ModuleNotFoundError: No module named 'peft'");
  expect(reasonIn("one\ntwo\n")).toBe("two");
  expect(reasonIn("")).toBe("it said nothing");
});
