import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data, io, models } from "graftml";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { graft, here, scratch } from "../cli/run.js";
import { fakeHub, gitSha, sha256, type FakeHub } from "./server.js";

const { dir, remove } = scratch();
const source = join(dir, "source");
const id = "someone/tiny-llama";
let hub: FakeHub;
let cache: string;
let runs = 0;
let errors = "";

beforeAll(async () => {
  cpSync(fileURLToPath(new URL("../golden/models/llama", import.meta.url)), source, { recursive: true, filter: (path) => !/adapter|reference/.test(path) });
  const tokenizer = await data.tokenizers.trainCharacters(["the cat saw the dog."], { roles: { eos: "</s>" } });
  await tokenizer.save(source);
});
afterAll(remove);

beforeEach(async () => {
  hub = await fakeHub(id, source);
  hub.files.set("README.md", { content: Buffer.from("# not needed"), large: false });
  hub.files.set("pytorch_model.bin", { content: Buffer.from("not needed"), large: false });
  cache = join(dir, `home${runs++}`, "hub");
  const names = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DOWNLOAD_TIMEOUT"];
  for (const name of names) vi.stubEnv(name, "");
  vi.stubEnv("HF_HOME", join(cache, ".."));
  vi.stubEnv("HF_ENDPOINT", `${hub.url}/`);
  vi.stubEnv("no_proxy", "*");
  errors = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((errors += String(text))));
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await hub.close();
});

const repo = (): string => join(cache, "models--someone--tiny-llama");
const snapshot = (commit = hub.commit): string => join(repo(), "snapshots", commit);
const blobs = (): string[] => readdirSync(join(repo(), "blobs")).sort();
const weights = (): Buffer => hub.files.get("model.safetensors")!.content;

describe("a model by its name on the hub", () => {
  it("is fetched into the layout that Python's packages have, and found there", async () => {
    const model = await models.load(id);
    expect(model.constructor.name).toBe("LlamaForCausalLM");
    const wanted = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    expect(readdirSync(snapshot()).sort()).toEqual(wanted);
    expect(readFileSync(join(repo(), "refs", "main"), "utf8")).toBe(hub.commit);
    expect(readlinkSync(join(snapshot(), "model.safetensors"))).toBe(join("..", "..", "blobs", sha256(weights())));
    expect(readlinkSync(join(snapshot(), "config.json"))).toBe(join("..", "..", "blobs", gitSha(hub.files.get("config.json")!.content)));
    expect(blobs()).toHaveLength(wanted.length);
    expect(readdirSync(join(cache, ".locks", "models--someone--tiny-llama"))).toEqual([]);
    expect(errors).toMatch(/fetching someone\/tiny-llama model\.safetensors, 9\d\.?\d* kB/);
    const asked = hub.requests.length;
    await models.load(id);
    expect(hub.requests.slice(asked).filter((request) => request.includes("resolve"))).toEqual([]);
    await models.load(`${id}@${hub.commit}`);
    expect(hub.requests.slice(asked)).toHaveLength(2); // a commit that is there takes no network
  });

  it("goes with its branch, and a branch whose files do not come stays what it was", async () => {
    await models.load(`${id}@v1`);
    const first = hub.commit;
    hub.commit = "b".repeat(40);
    const other = Buffer.from(weights());
    other[other.length - 1] ^= 1;
    hub.files.set("model.safetensors", { content: other, large: true });
    hub.corrupt = true;
    await expect(models.load(`${id}@v1`)).rejects.toMatchObject({ code: "network" });
    expect(readFileSync(join(repo(), "refs", "v1"), "utf8")).toBe(first);
    hub.corrupt = false;
    await models.load(`${id}@v1`);
    expect(readFileSync(join(repo(), "refs", "v1"), "utf8")).toBe(hub.commit);
    expect(blobs().filter((name) => name.length === 64)).toHaveLength(2);
  });

  it("fetches exactly the shards that the index names", async () => {
    const folder = join(dir, "sharded");
    const model = await models.load(source);
    await io.writeWeights(folder, model.stateDict(), { maxShardBytes: 40_000 });
    const shards = readdirSync(folder).filter((name) => name.startsWith("model-"));
    expect(shards.length).toBeGreaterThan(1);
    for (const name of readdirSync(folder)) hub.files.set(name, { content: readFileSync(join(folder, name)), large: name.endsWith(".safetensors") });
    await models.load(id);
    expect(readdirSync(snapshot()).filter((name) => name.includes("safetensors")).sort()).toEqual([...shards, "model.safetensors.index.json"].sort());
  });

  it("a folder that exists wins, and a name below a folder is a path", async () => {
    expect(await here(["generate", "source", "the", "--max-tokens", "1"], { cwd: dir })).toMatchObject({ code: 0 });
    mkdirSync(join(dir, "someone"), { recursive: true });
    expect((await here(["generate", "someone/tiny-llama", "the"], { cwd: dir })).err).toMatch(/someone is a folder here.*someone\/tiny-llama@main/);
    cpSync(source, join(dir, "someone", "tiny-llama"), { recursive: true });
    expect((await here(["generate", "someone/tiny-llama", "the", "--max-tokens", "1"], { cwd: dir })).code).toBe(0);
    rmSync(join(dir, "someone"), { recursive: true });
    expect(hub.requests).toEqual([]);
    expect(existsSync(repo())).toBe(false);
  });
});

describe("a download", () => {
  it("that breaks off goes on from where it was", async () => {
    hub.cut = { bytes: 30_000, times: 2 };
    await models.load(id);
    const size = weights().length;
    expect(hub.requests.filter((request) => request.includes("/cdn/"))).toEqual(["GET /cdn/model.safetensors", `GET /cdn/model.safetensors bytes=30000-${size - 1}`, `GET /cdn/model.safetensors bytes=60000-${size - 1}`]);
    expect(readFileSync(join(snapshot(), "model.safetensors")).equals(weights())).toBe(true);
  });

  it("that is given up is gone on with by the next command", async () => {
    hub.cut = { bytes: 1000, times: 1, status: 503 };
    await expect(models.load(id)).rejects.toThrow(/model\.safetensors broke off after 1000 of \d+ bytes.*503.*goes on from there/);
    expect(existsSync(snapshot()) && readdirSync(snapshot()).includes("model.safetensors")).toBe(false);
    expect(existsSync(join(repo(), "refs"))).toBe(false);
    hub.status = undefined;
    await models.load(id);
    expect(hub.requests.some((request) => request.endsWith(`/cdn/model.safetensors bytes=1000-${weights().length - 1}`))).toBe(true);
    expect(readdirSync(join(repo(), "blobs")).filter((name) => name.endsWith(".incomplete"))).toEqual([]);
  });

  it("that falls silent is asked for again", async () => {
    vi.stubEnv("HF_HUB_DOWNLOAD_TIMEOUT", "0.3");
    hub.cut = { bytes: 1000, times: 1, silent: true };
    await models.load(id);
    expect(hub.requests.some((request) => request.endsWith(`/cdn/model.safetensors bytes=1000-${weights().length - 1}`))).toBe(true);
  });

  it("that is ended by Ctrl-C is gone on with", async () => {
    hub.cut = { bytes: 1000, times: 1, silent: true };
    const partial = join(repo(), "blobs", `${sha256(weights())}.incomplete`);
    const first = await graft(["generate", id, "the", "--max-tokens", "1"], {
      started: (child) => {
        const watch = setInterval(() => {
          if (!existsSync(partial) || statSync(partial).size < 1000) return;
          clearInterval(watch);
          child.kill("SIGINT");
        }, 20);
      },
    });
    expect(first.code).not.toBe(0);
    expect(statSync(partial).size).toBe(1000);
    expect(await graft(["generate", id, "the", "--max-tokens", "1"])).toMatchObject({ code: 0 });
    expect(hub.requests.some((request) => request.endsWith(`/cdn/model.safetensors bytes=1000-${weights().length - 1}`))).toBe(true);
  });

  it("begins again where the server has no ranges", async () => {
    hub.noRanges = true;
    hub.cut = { bytes: 1000, times: 1 };
    await models.load(id);
    expect(readFileSync(join(snapshot(), "model.safetensors")).equals(weights())).toBe(true);
  });

  it("that is damaged is refused and removed", async () => {
    hub.corrupt = true;
    await expect(models.load(id)).rejects.toThrow(/model\.safetensors came damaged.*was removed/);
    expect(blobs().every((name) => name.length === 40)).toBe(true);
    hub.corrupt = false;
    await models.load(id);
  });

  it("by two at a time happens once", async () => {
    await Promise.all([models.load(id), models.load(id)]);
    expect(hub.requests.filter((request) => request.includes("/cdn/"))).toHaveLength(1);
  });

  it("by two processes at a time happens once", async () => {
    const both = await Promise.all([1, 2].map(() => graft(["generate", id, "the", "--max-tokens", "1"])));
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(hub.requests.filter((request) => request.includes("/cdn/"))).toHaveLength(1);
  });

  it("takes over the lock of a process that was killed", async () => {
    const lock = join(cache, ".locks", "models--someone--tiny-llama", `${sha256(weights())}.graft`);
    mkdirSync(join(lock, ".."), { recursive: true });
    writeFileSync(lock, "999999999");
    await models.load(id);
  });
});

describe("without a network", () => {
  it("what Python has fetched is found", async () => {
    // as huggingface_hub lays it out
    const commit = "c".repeat(40);
    for (const name of ["blobs", "refs", join("snapshots", commit)]) mkdirSync(join(repo(), name), { recursive: true });
    writeFileSync(join(repo(), "refs", "main"), commit);
    for (const [name, { content, large }] of hub.files) {
      const blob = large ? sha256(content) : gitSha(content);
      writeFileSync(join(repo(), "blobs", blob), content);
      symlinkSync(join("..", "..", "blobs", blob), join(snapshot(commit), name));
    }
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect((await models.load(id)).constructor.name).toBe("LlamaForCausalLM");
    vi.stubEnv("HF_HUB_OFFLINE", "");
    vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9"); // nobody listens there
    await models.load(id);
    expect(errors).toMatch(/the hub cannot be reached \(.*\); taken from the cache/);
    expect(hub.requests).toEqual([]);
    expect(lstatSync(snapshot(commit)).isDirectory()).toBe(true);
  });

  it("says what is missing", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await expect(models.load(id)).rejects.toThrow(/no such folder, and the cache .* lacks its config\.json; nothing is fetched because HF_HUB_OFFLINE is set/);
    vi.stubEnv("HF_HUB_OFFLINE", "");
    vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9");
    await expect(models.load(id)).rejects.toThrow(/the hub cannot be reached \(.+\), and the cache .* lacks its config\.json\. Check the network/);
    expect(existsSync(cache)).toBe(false);
  });
});

describe("what the hub refuses", () => {
  it.each([
    [401, /shows no such model \(401\).*HF_TOKEN/],
    [403, /refuses it \(403\).*conditions/],
    [404, /has no such model or revision \(404\)/],
    [500, /cannot be reached \(the hub answers 500/],
  ])("%i", async (status, message) => {
    hub.status = status;
    await expect(models.load(id)).rejects.toThrow(message);
    expect(existsSync(cache)).toBe(false);
  });

  it("a revision that is not there", async () => {
    await expect(models.load(`${id}@nowhere`)).rejects.toThrow(/someone\/tiny-llama@nowhere.*Invalid rev id/);
  });

  it("a model without safetensors, and one that is none", async () => {
    hub.files.delete("model.safetensors");
    await expect(models.load(id)).rejects.toThrow(/no safetensors for it, only pytorch_model\.bin/);
    hub.files.delete("config.json");
    await expect(models.load(id)).rejects.toThrow(/no config\.json/);
  });

  it("a private model, until there is a token", async () => {
    hub.token = "hf_secret";
    await expect(models.load(id)).rejects.toThrow(/401.*set HF_TOKEN/);
    vi.stubEnv("HF_TOKEN", "secret");
    await expect(models.load(id)).rejects.toThrow(/does not begin with hf_/);
    vi.stubEnv("HF_TOKEN", "hf_other");
    await expect(models.load(id)).rejects.toThrow(/token was not accepted/);
    vi.stubEnv("HF_TOKEN", "");
    mkdirSync(join(cache, ".."), { recursive: true });
    writeFileSync(join(cache, "..", "token"), "hf_secret\n");
    await models.load(id);
  });

  it.each(["no name at all", "one", "a/b/c", "../up/model", "a--b/c", "a/b@../../x", "a/b@"])("%s is no name", async (name) => {
    await expect(models.load(name)).rejects.toThrow(/there is no such file or folder.*owner\/name/);
    expect(hub.requests).toEqual([]);
  });
});

describe("commands", () => {
  it("fine-tune, merge, generate and export a model by its name", async () => {
    writeFileSync(join(dir, "pairs.jsonl"), `${JSON.stringify({ prompt: "the cat", completion: " saw" })}\n`.repeat(4));
    const work = { cwd: dir };
    const tuned = await here(["finetune", "--model", `${id}@v1`, "--data", "pairs.jsonl", "--epochs", "1", "--out", "tuned", "--no-progress"], work);
    expect(tuned).toMatchObject({ code: 0, out: expect.stringContaining("saved to tuned") as unknown });
    expect(JSON.parse(readFileSync(join(dir, "tuned", "adapter_config.json"), "utf8"))).toMatchObject({ base_model_name_or_path: id, revision: "v1" });
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect((await here(["generate", "tuned", "the cat", "--max-tokens", "2"], work)).out).toMatch(/^the cat/);
    expect((await here(["merge", "tuned"], work)).code).toBe(0);
    expect((await here(["generate", "tuned/merged", "the cat", "--max-tokens", "2"], work)).out).toMatch(/^the cat/);
    expect((await here(["export", `${id}@v1`, "--to", "safetensors"], work)).out).toMatch(/^runs\/tiny-llama-f32\.safetensors: [\d,]+ bytes/);
    expect((await here(["chat", `${id}@v1`], work)).err).toMatch(/no chat template/);
  });

  it("say what is wrong as a process of their own", async () => {
    const { code, err } = await graft(["generate", id, "the"], { env: { HF_ENDPOINT: "http://127.0.0.1:9" } });
    expect(code).toBe(1);
    expect(err).toMatch(/^graft: someone\/tiny-llama: there is no such folder, the hub cannot be reached/);
  });
});
