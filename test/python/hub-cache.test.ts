import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { io, models } from "graftml";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { goldenPath } from "../golden/cases.js";
import { fakeHub, type FakeHub } from "../hub/server.js";
import { missing, reason, run } from "./python.js";

// One cache for both: what one fetches the other finds, without a network.

const dir = mkdtempSync(join(tmpdir(), "graft-cache-"));
const id = "someone/tiny-llama";
let hub: FakeHub;
beforeAll(async () => {
  cpSync(goldenPath("models/llama"), join(dir, "source"), { recursive: true, filter: (path) => !/adapter|reference/.test(path) });
  hub = await fakeHub(id, join(dir, "source"));
});
afterAll(async () => {
  await hub.close();
  rmSync(dir, { recursive: true });
});
afterEach(() => vi.unstubAllEnvs());

const lacking = missing("huggingface_hub");
describe.skipIf(lacking.length > 0)(`huggingface_hub${reason(lacking)}`, () => {
  const setUp = (home: string, offline: string): void => {
    vi.stubEnv("HF_HOME", join(dir, home));
    vi.stubEnv("HF_ENDPOINT", hub.url);
    vi.stubEnv("HF_HUB_OFFLINE", offline);
    vi.stubEnv("no_proxy", "*");
  };

  it("finds what Graft has fetched", async () => {
    setUp("ours", "");
    const folder = await io.modelFolder(id);
    const theirs = await run<{ folder: string; weights: string }>(
      `
from huggingface_hub import hf_hub_download, snapshot_download
result = {"folder": snapshot_download(job, local_files_only=True), "weights": hf_hub_download(job, "model.safetensors", local_files_only=True)}
`,
      id,
    );
    expect(theirs).toEqual({ folder, weights: join(folder, "model.safetensors") });
  }, 60_000);

  it("has fetched what Graft finds", async () => {
    setUp("theirs", "0");
    await run(
      `
from huggingface_hub import hf_hub_download
result = [hf_hub_download(job, name) for name in ["config.json", "generation_config.json", "model.safetensors"]]
`,
      id,
      { HF_HUB_OFFLINE: "0" },
    );
    const asked = hub.requests.length;
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect((await models.load(id)).constructor.name).toBe("LlamaForCausalLM");
    expect(hub.requests).toHaveLength(asked);
  }, 60_000);
});
