import fc from "fast-check";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { GraftError } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { ArrayDataset, DataLoader, fromModule, map, weightedSampler, type Dataset, type LoaderOptions } from "./index.js";

/** Sample i is [i, a random number of its own]. */
const numbered = (length: number): Dataset<readonly [number, Float32Array]> =>
  map(new ArrayDataset(Array.from({ length }, (_, i) => i)), (i, random) => [i, Float32Array.of(random.uniform())] as const);
const values = (tensor: Tensor): number[] => Array.from(tensor.node.value!);
const read = async (loader: AsyncIterable<Tensor[]>): Promise<number[][][]> => {
  const batches: number[][][] = [];
  for await (const batch of loader) batches.push(batch.map(values));
  return batches;
};
const squares = new URL("./testing/squares.ts", import.meta.url);
const makeSquares = (length: number, bad?: number) => fromModule<readonly [Float32Array, number]>({ module: squares, export: "squares", args: [length, bad] });

const options: fc.Arbitrary<LoaderOptions<readonly [number, Float32Array], [Tensor, Tensor]>> = fc.record({
  batchSize: fc.integer({ min: 1, max: 9 }),
  shuffle: fc.boolean(),
  seed: fc.nat(),
  dropLast: fc.boolean(),
  prefetch: fc.nat({ max: 3 }),
});

describe("DataLoader", () => {
  it("gives every sample once per epoch, in a new order each time, and the same at every run", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 40 }), options, async (n, given) => {
        const loader = new DataLoader(numbered(n), given);
        const epochs = [await read(loader), await read(loader)];
        for (const batches of epochs) {
          expect(batches.length).toBe(loader.length);
          const seen = batches.flatMap(([ids]) => ids);
          expect(new Set(seen).size).toBe(given.dropLast ? n - (n % given.batchSize!) : n);
          if (!given.shuffle) expect(seen).toEqual(seen.map((_, i) => i));
        }
        if (given.shuffle && n > 20 && !given.dropLast) expect(epochs[0]).not.toEqual(epochs[1]);
        const again = new DataLoader(numbered(n), { ...given, prefetch: 2 });
        expect([await read(again), await read(again)]).toEqual(epochs);
        again.setEpoch(1);
        expect(await read(again)).toEqual(epochs[1]);
      }),
      { numRuns: 40 },
    );
  });

  it("continues in the middle of an epoch as if it had not been stopped", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 30 }), options, fc.nat(), async (n, given, stop) => {
        const whole = new DataLoader(numbered(n), given);
        const expected = [...(await read(whole)), ...(await read(whole))];
        if (expected.length === 0) return;
        const first = new DataLoader(numbered(n), given);
        const seen: number[][][] = [];
        const limit = stop % expected.length;
        let state = first.stateDict();
        while (seen.length < limit) {
          for await (const batch of first) {
            seen.push(batch.map(values));
            state = first.stateDict();
            if (seen.length === limit) break;
          }
        }
        expect(first.stateDict().batch === state.batch || first.stateDict().epoch === state.epoch + 1).toBe(true);
        const second = new DataLoader(numbered(n), { ...given, seed: 12345 });
        second.loadStateDict(JSON.parse(JSON.stringify(state)) as typeof state);
        second.setEpoch(state.epoch); // as a training loop does: keeps the position
        while (second.epoch < 2) seen.push(...(await read(second)));
        expect(seen).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  it("starts the epoch again after a break, and keeps the position of the break for a checkpoint", async () => {
    const loader = new DataLoader(numbered(10), { batchSize: 3 });
    for await (const [ids] of loader) if (values(ids)[0] === 3) break;
    expect(loader.stateDict()).toEqual({ seed: 0, epoch: 0, batch: 2, samples: 10, batchSize: 3, order: "sequential" });
    expect((await read(loader)).length).toBe(4);
    expect(loader.stateDict()).toMatchObject({ epoch: 1, batch: 0 });
    const other = new DataLoader(numbered(11), { batchSize: 3 });
    expect(() => other.loadStateDict(loader.stateDict())).toThrow(/saved position has samples 10, this loader has 11/);
  });

  it("makes tensors by field, and says which sample does not fit", async () => {
    const first = async (samples: readonly unknown[], more: object = {}): Promise<unknown> => {
      for await (const batch of new DataLoader(new ArrayDataset(samples), { batchSize: 2, ...more })) return batch;
      return undefined;
    };
    const named = (await first([{ x: [1, 2], y: true }, { x: [3, 4], y: false }])) as Record<string, Tensor>;
    expect([named.x.dtype, named.x.shape, values(named.x), named.y.dtype, values(named.y)]).toEqual(["f32", [2, 2], [1, 2, 3, 4], "bool", [1, 0]]);
    const [single] = (await first([7, 8])) as Tensor[];
    expect([single.dtype, single.shape]).toEqual(["i32", [2]]);
    const [, target] = (await first([[1, 0.5], [1, 2]], { dtypes: [undefined, "f32"] })) as Tensor[];
    expect([target.dtype, values(target)]).toEqual(["f32", [0.5, 2]]);
    await expect(first([[[1, 2]], [[1, 2, 3]]])).rejects.toThrow(/sample 1, field 0 is \[3\], sample 0, field 0 is \[2\]/);
    await expect(first([0.5])).rejects.toThrow(/sample 0, field 0 is 0.5; plain numbers are whole/);
    await expect(first([["text"]])).rejects.toThrow(/sample 0, field 0 is a string, which cannot be stacked/);
    expect(await first([["a"], ["b"]], { collate: (samples: string[][]) => samples.flat().join() })).toBe("a,b");
    await expect(first([1], { batchSize: 0 })).rejects.toThrow(/batchSize is 0/);
    const failing = new DataLoader({ length: 5, get: (i: number) => (i === 3 ? Promise.reject(new GraftError("file", "gone")) : Promise.resolve(i)) }, { batchSize: 2 });
    await expect(read(failing)).rejects.toMatchObject({ code: "file", message: "loader: sample 3 (epoch 0, batch 1): gone" });
  });

  it("draws by weight", async () => {
    const loader = new DataLoader(numbered(3), { batchSize: 600, sampler: weightedSampler([1, 0, 3], { length: 600 }) });
    const [[ids]] = await read(loader);
    expect(ids.filter((i) => i === 1).length).toBe(0);
    expect(ids.filter((i) => i === 2).length / 600).toBeCloseTo(0.75, 1);
    expect(() => weightedSampler([0, 0])).toThrow(/all weights are 0/);
  });
});

describe("worker threads", () => {
  it("give the same batches as this thread, in order, over several epochs and after a break", async () => {
    const given = { batchSize: 4, shuffle: true, seed: 3 };
    const dataset = await makeSquares(30);
    const here = new DataLoader(dataset, given);
    const there = new DataLoader(dataset, { ...given, workers: 2 });
    const expected = [await read(here), await read(here)];
    expect(await read(there)).toEqual(expected[0]);
    for await (const batch of there) {
      expect(batch.map(values)).toEqual(expected[1][0]);
      break;
    }
    expect(await read(there)).toEqual(expected[1]);
    await there.close();
    const collate = (samples: readonly (readonly [Float32Array, number])[]) => samples.map(([, i]) => i);
    const raw = new DataLoader(dataset, { ...given, workers: 1, collate });
    const lists: number[][] = [];
    for await (const list of raw) lists.push(list);
    expect(lists).toEqual(expected[0].map(([, ids]) => ids));
    await raw.close();
  });

  it("report the sample that failed and need a data set that can be made in a thread", async () => {
    const loader = new DataLoader(await makeSquares(30, 9), { batchSize: 4, workers: 1 });
    await expect(read(loader)).rejects.toMatchObject({ name: "GraftError", message: "loader: sample 9 (epoch 0, batch 2): no square of 9" });
    expect(() => new DataLoader(numbered(3), { workers: 1 })).toThrow(/await fromModule/);
    await expect(fromModule({ module: "./squares.ts" })).rejects.toThrow(/neither a URL nor an absolute path/);
    await expect(fromModule({ module: squares, export: "square" })).rejects.toThrow(/no export "square". Did you mean "squares"/);
    await expect(fromModule({ module: squares, export: "wrong" })).rejects.toThrow(/does not give a data set/);
    await expect(fromModule({ module: new URL("./none.ts", squares) })).rejects.toMatchObject({ code: "file" });
  });

  it("never keep the process alive", () => {
    const program = `
      import { DataLoader, fromModule } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)};
      const dataset = await fromModule({ module: ${JSON.stringify(squares.href)}, export: "squares", args: [20] });
      const loader = new DataLoader(dataset, { batchSize: 4, workers: 1 });
      let count = 0;
      for await (const [x] of loader) count += x.shape[0];
      console.log(count);`;
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], { cwd: root, encoding: "utf8", timeout: 30_000 });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "20\n", stderr: "" });
  });
});
