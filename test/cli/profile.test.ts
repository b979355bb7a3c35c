import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasNative, type ProfileData } from "graftml";
import type { Trace } from "graftml/runtime";
import { afterAll, describe, expect, it } from "vitest";
import { example, graft, here, scratch } from "./run.js";

const { dir, remove } = scratch();
afterAll(remove);

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Numbers of the column that ends where `head` does, of both tables; a blank cell is 0. */
function column(table: readonly string[], head: string): number[] {
  const end = table[0].indexOf(head) + head.length;
  return table.slice(1).map((line) => Number(/(\d+\.\d+)?$/.exec(line.slice(0, end))?.[0] ?? 0));
}

describe("graft profile", () => {
  it("prints kernels and modules of a recipe's steps, and writes a trace", async () => {
    const trace = join(dir, "trace.json");
    const { code, out, err } = await graft(["profile", example("digits.yaml"), "--steps", "3", "--warmup", "2", "--top", "100", "--trace", trace], { cwd: dir });
    expect([code, err]).toEqual([0, `trace of 3 steps in ${trace}: open it in ui.perfetto.dev or chrome://tracing\n`]);
    const [head, kernels, modules] = out.trim().split("\n\n");
    expect(head).toMatch(/^3 steps after 2 for warm-up, .*; a step takes \d+\.\d+ ms \(median; /);
    for (const words of [/^conv\w* .* forward +conv1\b/m, /^conv\w* .* backward +conv1\b/m, /^matmul .* backward +fc1\b/m, /^crossEntropy +scalar +3 .* loss /m, /^\(plan\) +3 /m]) expect(kernels).toMatch(words);
    for (const words of [/^conv1 +Conv2d +\d+( +\d+\.\d{3}){3} +\d+\.\d$/m, /^fc2 +Linear /m, /^optimizer /m, /^\(outside kernels\) /m]) expect(modules).toMatch(words);
    for (const table of [kernels, modules]) {
      const shares = column(table.split("\n"), "share %");
      expect(Math.abs(sum(shares) - 100)).toBeLessThan(0.06 * shares.length);
    }
    expect(readdirSync(dir)).toEqual(["trace.json"]);

    const { traceEvents } = JSON.parse(readFileSync(trace, "utf8")) as Trace;
    const names = new Map(traceEvents.filter(({ name }) => name === "thread_name").map(({ tid, args }) => [tid, args!.name]));
    expect([...names.values()]).toEqual(["steps", "JavaScript", "kernels"]);
    for (const [tid, row] of names) {
      const events = traceEvents.filter((event) => event.ph === "X" && event.tid === tid);
      expect(events.length).toBeGreaterThan(2);
      let end = 0;
      for (const { ts, dur } of events) {
        expect(Math.round(1000 * ts!)).toBeGreaterThanOrEqual(end);
        expect(dur).toBeGreaterThanOrEqual(0);
        end = Math.round(1000 * (ts! + dur!));
      }
      if (row === "JavaScript") expect(new Set(events.map(({ name }) => name))).toEqual(new Set(["loader", "record", "plan"]));
      if (row === "kernels") expect(events.find(({ args }) => args?.module === "fc2")).toMatchObject({ args: { shape: expect.any(String) as unknown, "GFLOP/s": expect.any(Number) as unknown, "GB/s": expect.any(Number) as unknown } });
    }
  });

  it("takes programs and their settings, and prints JSON", async () => {
    const program = `import { data, defineTraining, nn } from "graftml";
export default defineTraining({
  settings: { width: 4 },
  data: () => ({ train: new data.ArrayDataset(Array.from({ length: 30 }, (_, i) => [Float32Array.of(i % 3, 1), i % 2] as const)) }),
  model: ({ settings }) => new nn.Sequential({ wide: new nn.Linear(2, settings.width), act: new nn.ReLU(), out: new nn.Linear(settings.width, 2) }),
});`;
    writeFileSync(join(dir, "t.ts"), program);
    const { code, out, err } = await graft(["profile", "t.ts", "--set", "width=6", "--batch-size", "10", "--steps", "2", "--warmup", "1", "--json"], { cwd: dir });
    expect([code, err]).toEqual([0, ""]);
    const found = JSON.parse(out) as ProfileData;
    expect(found).toMatchObject({ steps: 2, warmup: 1 });
    expect(found.kernels.find(({ pass, modules: [first] }) => first === "wide" && pass === "forward")?.shape).toEqual([10, 6]);
    expect(sum([...found.modules, ...found.outside].map(({ share }) => share))).toBeCloseTo(1, 3);
  });

  it("takes recipes of graft pretrain", async () => {
    writeFileSync(join(dir, "text.txt"), "one two three four five six seven eight nine ten\n".repeat(60));
    writeFileSync(join(dir, "lm.yaml"), "data: { path: text.txt }\ntokenizer: { kind: characters }\nmodel: { layers: 2, heads: 2, size: 16, block: 16 }\ntraining: { batchSize: 2 }\n");
    const { code, out } = await here(["profile", "lm.yaml", "--steps", "2", "--warmup", "1"], { cwd: dir });
    expect(code).toBe(0);
    expect(out).toMatch(/^attention +\S+ +4 .* forward +transformer\.h\.\*\.attn +/m);
    expect(out).toMatch(/^transformer\.h\.1\.mlp\.c_fc +TransposedLinear /m);
  });

  it("shows the steps that it has seen when Ctrl-C ends it", async () => {
    const program = `import { data, defineTraining, nn, optim } from "graftml";
export default defineTraining({
  data: () => ({ train: new data.ArrayDataset(Array.from({ length: 30 }, (_, i) => [Float32Array.of(i % 3, 1), i % 2] as const)) }),
  model: () => new nn.Sequential(new nn.Linear(2, 2)),
  fit: { optimizer: (model) => { console.log("begins"); return new optim.SGD(model.parameters(), { lr: 0.1 }); } },
});`;
    writeFileSync(join(dir, "c.ts"), program);
    let sent = false;
    const { code, out } = await graft(["profile", "c.ts", "--steps", "10000000", "--warmup", "0", "--trace", "c.json"], {
      cwd: dir,
      seen(text, child) {
        if (sent || !text.includes("begins")) return;
        sent = true;
        setTimeout(() => child.kill("SIGINT"), 300);
      },
    });
    expect(code).toBe(130);
    expect(out).toMatch(/^\d+ steps? after 0 for warm-up/m);
    expect((JSON.parse(readFileSync(join(dir, "c.json"), "utf8")) as Trace).traceEvents.length).toBeGreaterThan(10);
  });

  it("says what is wrong before it runs", async () => {
    const run = async (...args: string[]): Promise<[number | null, string]> => {
      const { code, err } = await here(["profile", ...args], { cwd: dir });
      return [code, err];
    };
    const recipe = example("digits.yaml");
    const says = (code: number, text: RegExp): [number, unknown] => [code, expect.stringMatching(text)];
    expect(await run("none.yaml")).toEqual(says(1, /^graft: none\.yaml: there is no such file/));
    expect(await run(recipe, "--steps", "0")).toEqual(says(2, /--steps is "0"\. Use a whole number of 1 or more/));
    expect(await run(recipe, "--steps", "many")).toEqual(says(2, /--steps is "many"/));
    expect(await run(recipe, "--warmup", "-1")).toEqual(says(2, /--warmup is "-1"/));
    expect(await run(recipe, "--trace", "nowhere/t.json")).toEqual(says(1, /there is no folder nowhere/));
    mkdirSync(join(dir, "folder"));
    expect(await run(recipe, "--trace", "folder")).toEqual(says(1, /--trace folder is a folder/));
    expect(await run("model.txt")).toEqual(says(2, /neither a recipe .* nor a program/));
    expect(await run(recipe, "--set", "epocs=1")).toEqual(says(1, /Did you mean "epochs"/));
    writeFileSync(join(dir, "bad.yaml"), "data: { name: digits }\nmodel: {}\noptimzer: {}\n");
    expect(await run("bad.yaml")).toEqual(says(1, /bad\.yaml:3:1: .*Did you mean "optimizer"/));
    expect(await run()).toEqual(says(2, /missing required argument/));
  });

  it.skipIf(!hasNative())("GRAFT_DEBUG=2 names the modules of each kernel", async () => {
    const { err } = await graft(["train", example("digits.yaml"), "--fast-dev-run"], { cwd: dir, env: { GRAFT_DEBUG: "2" } });
    expect(err).toMatch(/ us +[\d.]+ % +[\d.]+ GFLOP\/s +[\d.]+ GB\/s {2}conv 64x32x16x16 {2}conv1 \+1 forward {2}conv\+add\+relu$/m);
    expect(err).toMatch(/ {2}matmul 128x2048 {2}fc1 \+1 backward {2}matmul/);
  });
});
