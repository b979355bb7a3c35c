import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataLoader } from "../loader.js";
import { trainByteLevelBpe, trainCharacters, type Tokenizer } from "../tokenizers/index.js";
import { documents, prepareTokens, TokenDataset, TokenFile, writeTokenFile, writeTokens } from "./index.js";

let folder: string;
let characters: Tokenizer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "graft-tokens-"));
  characters = await trainCharacters(["abcdefghijklmnopqrstuvwxyz \n"]);
});
afterAll(() => rm(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);

describe("token files", () => {
  it.each([[65_536, "u16"], [65_537, "u32"]] as const)("hold ids of a vocabulary of %i as %s", async (vocabSize, dtype) => {
    const ids = Array.from({ length: 300_000 }, (_, i) => (i * 7919) % vocabSize);
    const header = await writeTokenFile(path("t.bin"), { vocabSize, info: { from: "test" } }, async (sink) => {
      await sink.write(ids.slice(0, 5), 11);
      await sink.write(ids.slice(5));
      sink.endDocument();
    });
    expect(header).toEqual({ version: 1, dtype, tokens: 300_000, documents: 1, bytes: 11, vocabSize, info: { from: "test" } });
    const file = TokenFile.open(path("t.bin"));
    expect(file.header).toEqual(header);
    expect([...file.read(0, 7), ...file.read(262_140, 10), ...file.read(299_999, 1)]).toEqual([...ids.slice(0, 7), ...ids.slice(262_140, 262_150), ids[299_999]]);
    expect(() => file.read(299_999, 2)).toThrow(/are not all there/);
    file.close();
    expect(() => file.read(0, 1)).toThrow(/was closed/);
  });

  it("appear complete or not at all", async () => {
    await writeFile(path("keep.bin"), "old");
    const broken = writeTokenFile(path("keep.bin"), { vocabSize: 10 }, async (sink) => sink.write([1, 2, 10]));
    await expect(broken).rejects.toThrow(/the token id 10 is outside the vocabulary of 10/);
    expect(await readFile(path("keep.bin"), "utf8")).toBe("old");
    expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("that are damaged are refused", async () => {
    await writeTokenFile(path("d.bin"), { vocabSize: 10 }, async (sink) => sink.write([1, 2, 3]));
    await truncate(path("d.bin"), 4096 + 4);
    expect(() => TokenFile.open(path("d.bin"))).toThrow(/has 4100 bytes, its header promises 4102/);
    await writeFile(path("d.bin"), "GRAFTTOK{".padEnd(5000));
    expect(() => TokenFile.open(path("d.bin"))).toThrow(/broken header/);
    await writeFile(path("d.bin"), 'GRAFTTOK{"version":1,"dtype":"u8","tokens":1e99}'.padEnd(5000));
    expect(() => TokenFile.open(path("d.bin"))).toThrow(/makes no sense/);
    await writeFile(path("d.bin"), "short");
    expect(() => TokenFile.open(path("d.bin"))).toThrow(/is not a token file/);
    expect(() => TokenFile.open(path("none.bin"))).toThrow(/there is no such file/);
  });
});

describe("writing tokens", () => {
  it("ends documents and counts bytes", async () => {
    await writeFile(path("docs.jsonl"), '{"text": "ab ü"}\n{"text": ""}\n{"text": "c"}\n');
    const tokenizer = await trainByteLevelBpe(["ab"], { vocabSize: 257 });
    const header = await writeTokens(path("docs.bin"), documents(path("docs.jsonl")), tokenizer);
    expect(header).toMatchObject({ tokens: 5 + 1 + 0 + 1 + 1 + 1, documents: 3, bytes: 6, vocabSize: 257 });
    const file = TokenFile.open(path("docs.bin"));
    expect(tokenizer.decode(file.read(0, header.tokens))).toBe("ab ü<|endoftext|><|endoftext|>c<|endoftext|>");
    file.close();
    await expect(writeTokens(path("x.bin"), documents(path("docs.jsonl")), tokenizer, { endToken: "<eos>" })).rejects.toThrow(/"<eos>" is not in the vocabulary/);
    await expect(writeTokens(path("x.bin"), [], tokenizer)).rejects.toThrow(/would be empty/);
  });

  it("splits one file at its end, and many documents by chance but always alike", async () => {
    const text = "the quick brown fox\n".repeat(50);
    await writeFile(path("one.txt"), text);
    const { train, valid } = await prepareTokens(path("one.txt"), characters, path("one"), { validFraction: 0.1 });
    expect([train.tokens, valid.tokens]).toEqual([900, 100]);
    const file = TokenFile.open(path("one/valid.bin"));
    expect(characters.decode(file.read(0, 100))).toBe(text.slice(900));
    file.close();

    await writeFile(path("many.jsonl"), Array.from({ length: 200 }, () => '{"text": "abc"}\n').join(""));
    const many = await prepareTokens(path("many.jsonl"), characters, path("many"), { validFraction: 0.2, seed: 3 });
    expect(many.train.documents + many.valid.documents).toBe(200);
    expect(many.valid.documents).toBeGreaterThan(20);
    expect(many.valid.documents).toBeLessThan(60);
  });
});

describe("TokenDataset", () => {
  it("gives blocks and their targets, in order", () => {
    const set = new TokenDataset(Array.from({ length: 10 }, (_, i) => i), { blockSize: 3, order: "sequential" });
    expect(set.length).toBe(3);
    expect([0, 1, 2].map((i) => set.get(i).map((ids) => [...ids]))).toEqual([
      [[0, 1, 2], [1, 2, 3]],
      [[3, 4, 5], [4, 5, 6]],
      [[6, 7, 8], [7, 8, 9]],
    ]);
    expect(() => new TokenDataset([1, 2, 3], { blockSize: 3 })).toThrow(/has 3 tokens, a block needs 4/);
  });

  it("reads random places of a file, other ones in each epoch, and goes on in the middle of one", async () => {
    await writeTokenFile(path("r.bin"), { vocabSize: 1000 }, async (sink) => sink.write(Array.from({ length: 1000 }, (_, i) => i)));
    const set = new TokenDataset(path("r.bin"), { blockSize: 8 });
    const make = (): DataLoader<readonly [Int32Array, Int32Array]> => new DataLoader(set, { batchSize: 4, shuffle: true, seed: 5 });
    const epoch = async (loader: ReturnType<typeof make>, most = Infinity): Promise<string[]> => {
      const batches: string[] = [];
      for await (const [input, target] of loader) {
        const [x, y] = [input, target].map(({ node }) => Array.from(node.value!));
        expect(y).toEqual(x.map((id) => id + 1));
        batches.push(x.join());
        if (batches.length >= most) break;
      }
      return batches;
    };
    const whole = make();
    const [first, second] = [await epoch(whole), await epoch(whole)];
    expect(first).toHaveLength(31);
    expect(second).not.toEqual(first);

    const stopped = make();
    await epoch(stopped);
    const before = await epoch(stopped, 7);
    const resumed = make();
    resumed.loadStateDict(JSON.parse(JSON.stringify(stopped.stateDict())) as ReturnType<typeof stopped.stateDict>);
    expect([...before, ...(await epoch(resumed))]).toEqual(second);
    set.close();
  });
});
