import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { io } from "graftml";
import { main } from "../../src/cli/main.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "graft-export-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

it("graft export writes GGUF and safetensors, and refuses types that a format does not have", async () => {
  const model = "test/golden/models/qwen2";
  const [gguf, safetensors, none] = ["m.gguf", "m.safetensors", "none"].map((name) => join(dir, name));
  expect(await main(["export", model, "--to", "gguf", "--type", "q8_0", "--out", gguf])).toBe(0);
  expect((await io.readGguf(gguf)).tensors.get("blk.1.attn_k.weight")).toMatchObject({ stored: "q8_0", shape: [16, 32] });
  expect(await main(["export", model, "--to", "safetensors", "--type", "f16", "--out", safetensors])).toBe(0);
  const { tensors } = await io.readSafetensorsHeader(safetensors);
  expect(tensors.get("model.embed_tokens.weight")?.dtype).toBe("f16");
  expect(tensors.has("lm_head.weight")).toBe(false); // tied
  expect(await main(["export", model, "--to", "safetensors", "--type", "q4_0", "--out", none])).toBe(1);
  expect(await main(["export", model, "--to", "onyx", "--out", none])).toBe(2);
});
