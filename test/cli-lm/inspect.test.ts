import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { here, scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);

interface Method {
  readonly name: string;
  readonly trainable: number;
  readonly weights: number;
  readonly step: { readonly peakBytes: number; readonly arenaBytes: number };
}

describe("graft inspect on a text model", () => {
  it("needs no weights, and says what each way of training takes", async () => {
    mkdirSync(join(dir, "small"));
    writeFileSync(join(dir, "small", "config.json"), JSON.stringify({ model_type: "gpt2", n_layer: 3, n_head: 4, n_embd: 64, n_positions: 128, vocab_size: 256 }));
    const { code, out, err } = await here(["inspect", "small", "--length", "64", "--batch-size", "2"], { cwd: dir });
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(out).toContain("transformer.h: 3 blocks like transformer.h.0");
    expect(out).not.toContain("transformer.h.1.");
    expect(out).toContain("One step with AdamW on 2 x 64 tokens");
    const json = await here(["inspect", "small", "--length", "64", "--batch-size", "2", "--json"], { cwd: dir });
    const { parameters, methods } = JSON.parse(json.out) as { parameters: number; methods: Method[] };
    const find = (name: string): Method => methods.find((method) => method.name === name)!;
    const [full, light, lora, nf4, int8] = ["full", "full, checkpointing", "lora", "qlora nf4", "qlora int8"].map(find);
    expect(full.trainable).toBe(parameters);
    expect(full.weights).toBe(4 * parameters);
    expect(light.step.arenaBytes).toBeLessThan(full.step.arenaBytes);
    expect(lora.trainable).toBeLessThan(parameters / 4);
    expect(lora.step.peakBytes).toBeLessThan(full.step.peakBytes);
    expect(nf4.weights).toBeLessThan(int8.weights);
    expect(int8.weights).toBeLessThan(lora.weights);
  });

  it("takes models of other kinds: capped scores, experts, masked tokens, classes", async () => {
    for (const name of ["gemma2", "mixtral", "bert-mlm", "roberta-classify"]) {
      const { code, err } = await here(["inspect", fileURLToPath(new URL(`../golden/models/${name}`, import.meta.url)), "--length", "16"], { cwd: dir });
      expect(`${code} ${err}`).toBe("0 ");
    }
  });

  it("says what is wrong", async () => {
    const wrong = async (...args: string[]) => here(["inspect", ...args], { cwd: dir });
    expect(await wrong("small", "--length", "0")).toMatchObject({ code: 2, err: expect.stringContaining('--length is "0"') as string });
    expect((await wrong("nosuch")).err).toMatch(/no such file or folder/);
    expect((await wrong(join("small", "config.json"))).err).toMatch(/is a file, and none of a recipe/);
    expect((await wrong("small", "--length", "500")).err).toMatch(/500/);
  });
});
