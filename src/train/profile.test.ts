import { expect, it } from "vitest";
import { data, F, getRandomState, manualSeed, nn, optim, train } from "graftml";

const samples = new data.ArrayDataset(Array.from({ length: 40 }, (_, i) => [Float32Array.of(i % 7, i % 5, 1), i % 2] as const));
const optimizer = (model: nn.Module): optim.Adam => new optim.Adam(model.parameters());
const make = (): nn.Sequential => {
  manualSeed(1);
  return new nn.Sequential({ hidden: new nn.Linear(3, 8), act: new nn.Tanh(), out: new nn.Linear(8, 2) });
};

it("tells where a training's time goes, and leaves all as it was", async () => {
  const model = make();
  const before = await model.getTensor("hidden.weight").data();
  const random = getRandomState();
  const seen: number[] = [];
  const found = await train.profile(model, samples, { batchSize: 8, steps: 7, warmup: 2, optimizer, clip: { norm: 1 }, callbacks: { onBatchEnd: ({ step }) => void seen.push(step) } });
  expect(found.steps).toBe(7);
  const names = found.kernels.flatMap(({ modules }) => modules);
  for (const name of ["hidden", "act", "out", "loss", "metrics", "clip", "optimizer"]) expect(names).toContain(name);
  expect(found.outside.find(({ kind }) => kind === "loader")!.ms).toBeGreaterThan(0);
  expect(await model.getTensor("hidden.weight").data()).toEqual(before);
  expect(getRandomState()).toEqual(random);
  expect(seen).toEqual([]);
});

it("looks at steps of several batches, replayed ones, and those with an average and a watchdog", async () => {
  const options = { batchSize: 8, steps: 2, warmup: 1, optimizer };
  const kernels = async (more: object): Promise<{ names: Set<string>; calls: number }> => {
    const found = await train.profile(make(), samples, { ...options, ...more });
    return { names: new Set(found.kernels.flatMap(({ modules }) => modules)), calls: found.kernels.reduce((sum, { calls }) => sum + calls, 0) };
  };
  const plain = await kernels({});
  expect((await kernels({ accumulate: 2 })).calls).toBeGreaterThan(plain.calls);
  expect((await kernels({ compile: true })).names).toContain("hidden");
  const more = await kernels({ ema: { decay: 0.9 }, watchdog: { nan: "restore", spike: "restore" } });
  for (const name of ["ema", "clip", "watchdog"]) expect(more.names).toContain(name);
});

it("takes other trainings, and says what is wrong with its options", async () => {
  const model = make();
  await expect(train.profile(model, samples, { steps: 0 })).rejects.toThrow(/train\.profile: steps is 0/);
  await expect(train.profile(model, samples, { task: "pretain" as never })).rejects.toThrow(/task is "pretain".*"pretrain"/);
  await expect(train.profile(model, samples, { batchsize: 3 } as never)).rejects.toThrow(/unknown option "batchsize"/);
  const loader = new data.DataLoader(samples, { batchSize: 4, shuffle: true, seed: 3 });
  const position = loader.stateDict();
  const loss = (output: Parameters<typeof F.crossEntropy>[0], target: Parameters<typeof F.crossEntropy>[1]) => F.crossEntropy(output, target);
  expect((await train.profile(model, loader, { steps: 1, warmup: 0, loss })).kernels.length).toBeGreaterThan(3);
  expect(loader.stateDict()).toEqual(position);
});
