import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pretrainSchema } from "../../src/cli/pretrain-recipe.js";
import { here, scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);
beforeAll(() => writeFileSync(join(dir, "text.txt"), "the cat saw the dog in the garden.\n".repeat(60)));

/** The exit code and what is said of a recipe. */
async function pretrain(lines: readonly string[], ...flags: string[]): Promise<string> {
  writeFileSync(join(dir, "r.yaml"), `${lines.join("\n")}\n`);
  const { code, err } = await here(["pretrain", "r.yaml", ...flags], { cwd: dir });
  return `${code} ${err}`;
}
const data = "data: { path: text.txt }";

describe("a recipe of graft pretrain", () => {
  it("an unknown key has its line and the nearest known one", async () => {
    expect(await pretrain([data, "trainig: {}"])).toMatch(/^1 graft: r\.yaml:2:1: trainig - unknown key "trainig"\. Did you mean "training"\?/);
    expect(await pretrain([data, "model:", "  heads: 2", "  layer: 2"])).toMatch(/^1 graft: r\.yaml:4:3: model\.layer - unknown key "layer"\. Did you mean "layers"\?/);
  });

  it("a wrong kind of value has its line, and a wrong word the nearest right one", async () => {
    expect(await pretrain([data, "training:", "  lr: fast"])).toMatch(/^1 graft: r\.yaml:3:3: training\.lr is "fast"\. Use a number above 0/);
    expect(await pretrain([data, "tokenizer:", "  kind: byte"])).toMatch(/r\.yaml:3:3: tokenizer\.kind is "byte"\. Did you mean "bytes"\?/);
    expect(await pretrain(["data: text.txt"])).toMatch(/r\.yaml:1:1: data is "text\.txt"\. It must have keys \(path, /);
  });

  it("a value out of its range has its line; all problems come at once", async () => {
    const text = await pretrain([data, "model:", "  size: 10", "  heads: 3", "  dropout: 2", "training: { steps: 0 }"]);
    expect(text).toMatch(/r\.yaml:4:3: model\.heads is 3\. It must divide the size, 10\.|r\.yaml:5:3: model\.dropout is 2\. Use a number from 0 to 0\.9/);
    expect(text).toMatch(/r\.yaml:6:13: training\.steps is 0\. Use a whole number of 1 or more/);
    expect(await pretrain([data, "model:", "  size: 10", "  heads: 3"])).toMatch(/r\.yaml:4:3: model\.heads is 3\. It must divide the size, 10\./);
  });

  it("a missing file: of the recipe, and of the text with its line", async () => {
    expect(await here(["pretrain", "none.yaml"], { cwd: dir })).toMatchObject({ code: 1, err: expect.stringMatching(/^graft: none\.yaml: there is no such file/) as unknown });
    expect(await pretrain(["data:", "  path: none.txt"])).toMatch(/^1 graft: r\.yaml:2:3: data\.path: .*none\.txt: there is no such file/);
    expect(await pretrain([data], "--data", "none.txt")).toMatch(/^1 graft: --data none\.txt: data\.path: .*none\.txt/);
    expect(await pretrain(["model: {}"])).toMatch(/^1 graft: .*data is missing/);
  });

  it("what is no YAML", async () => {
    expect(await pretrain(["data: { path: text.txt"])).toMatch(/^1 graft: r\.yaml:\d+:\d+: .*Correct the YAML/);
  });

  it("flags replace keys, and are named where they are wrong", async () => {
    expect(await pretrain([data], "--steps", "0")).toMatch(/^1 graft: --steps 0: training\.steps is 0/);
    expect(await pretrain([data], "--lr", "much")).toMatch(/^2 graft: pretrain: --lr is "much"/);
    expect(await pretrain([data], "--set", "model.head=2")).toMatch(/^1 graft: --set model\.head=2: .*Did you mean "heads"/);
    const small = ["data: { path: none.txt }", "tokenizer: { kind: characters }", "model: { layers: 9, heads: 1, size: 8, block: 8 }", "training: { steps: 500, evalBlocks: 2 }"];
    const all = ["--data", "text.txt", "--steps", "2", "--batch-size", "1", "--lr", "0.01", "--seed", "3", "--set", "model.layers=1", "--out", "run", "--no-progress"];
    expect(await pretrain(small, ...all)).toMatch(/^0 /);
    expect(JSON.parse(readFileSync(join(dir, "run", "config.json"), "utf8"))).toMatchObject({ n_layer: 1, n_embd: 8 });
  });

  it("--help lists the flags and the keys", async () => {
    const { out } = await here(["pretrain", "--help"]);
    for (const flag of ["--data", "--steps", "--lr", "--batch-size", "--seed", "--set", "--out", "--resume", "--overwrite", "--no-progress"]) expect(out).toContain(flag);
    for (const [section, schema] of Object.entries(pretrainSchema.shape)) {
      expect(out).toContain(section);
      const { shape } = ("unwrap" in schema ? schema.unwrap() : schema) as { shape?: object };
      for (const key of Object.keys(shape ?? {})) expect(out).toContain(key);
    }
    expect(out).toMatch(/training .*steps=1000/);
  });
});
