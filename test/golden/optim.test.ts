import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, realize, tensor, useBackend, type Tensor } from "graftml";
import { hasBackend, roundings, suiteBackends } from "../backends.js";
import * as nn from "graftml/nn";
import * as optim from "graftml/optim";
import { difference, readGolden, stored } from "./cases.js";

interface Run {
  readonly optimizer: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly losses: readonly number[];
  readonly final: Readonly<Record<string, string>>;
}
interface Schedule {
  readonly scheduler: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly baseLr: number;
  readonly lrs: readonly number[];
}
interface RecurrentCase {
  readonly module: "RNN" | "LSTM" | "GRU";
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly batchFirst: boolean;
  readonly options: nn.RecurrentOptions;
  readonly state: Readonly<Record<string, string>>;
  readonly grads: Readonly<Record<string, string>>;
  readonly x: string;
  readonly xGrad: string;
  readonly out: string;
  readonly hidden: readonly string[];
  readonly cotangent: string;
}

const { json, tensors } = await readGolden<{ runs: readonly Run[]; schedulers: readonly Schedule[] }>("optim/optim");
const recurrent = await readGolden<{ cases: readonly RecurrentCase[] }>("optim/rnn");

const named = json.runs.map((run) => [`${run.optimizer} ${JSON.stringify(run.options)}`, run] as const);
type AnyOptimizer = optim.Optimizer<optim.BaseOptions>;
const make = (name: string, params: Iterable<Tensor>, options: object): AnyOptimizer =>
  new (optim as unknown as Record<string, new (params: Iterable<Tensor>, options: object) => AnyOptimizer>)[name](params, options);

// f32: the file's values came from f64, 30 steps of f32 rounding lie between. f64: only the f32 storage of the file.
const tolerances = { f32: [1e-4, 1e-5], f64: [1e-6, 1e-6] } as const;

describe.each(suiteBackends)("golden optim on the %s backend", (backend) => {
  beforeAll(() => {
    if (hasBackend(backend)) useBackend(backend);
  });
  afterAll(() => useBackend(undefined));

  describe.each(["f32", "f64"] as const)("%s", (dtype) => {
    const [rtol, atol] = tolerances[dtype];

    it.each(named)("%s", async (title, run) => {
      const [rtol, atol] = dtype === "f32" ? tolerances.f32.map((bound) => bound * roundings(title)) : tolerances.f64;
      const model = new nn.Sequential(new nn.Linear(5, 8), new nn.Tanh(), new nn.Linear(8, 3)).to(dtype);
      model.loadStateDict(new Map([...model.stateDict().keys()].map((name) => [name, stored(tensors, `init/${name}`)])));
      const x = tensor(stored(tensors, "x").data, { shape: stored(tensors, "x").shape, dtype });
      const y = tensor(stored(tensors, "y").data, { shape: stored(tensors, "y").shape });
      const optimizer = make(run.optimizer, model.parameters(), run.options);
      const lossOf = (): Tensor => {
        optimizer.zeroGrad();
        const loss = F.crossEntropy(model.forward(x), y);
        loss.backward();
        return loss;
      };
      const losses: number[] = [];
      for (let i = 0; i < run.losses.length; i++) losses.push((await optimizer.step(lossOf))!.item());
      const problems = [difference("losses", Float64Array.from(losses), [losses.length], { data: Float64Array.from(run.losses), shape: [run.losses.length] }, rtol, atol)];
      for (const [name, key] of Object.entries(run.final)) {
        const parameter = model.getTensor(name);
        problems.push(difference(name, await parameter.data(), parameter.shape, stored(tensors, key), rtol, atol));
      }
      expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
    });

    it.each(recurrent.json.cases.map((test) => [`${test.module} ${JSON.stringify(test.options)}`, test] as const))("%s", async (_, test) => {
      const find = (key: string) => stored(recurrent.tensors, key);
      const layer = new nn[test.module](test.inputSize, test.hiddenSize, { ...test.options, batchFirst: test.batchFirst }).to(dtype);
      expect([...layer.stateDict().keys()]).toEqual(Object.keys(test.state));
      layer.loadStateDict(new Map(Object.entries(test.state).map(([name, key]) => [name, find(key)])));
      const x = tensor(find(test.x).data.slice(), { shape: find(test.x).shape, dtype, requiresGrad: true });
      const [out, hidden] = layer.forward(x) as [Tensor, Tensor | [Tensor, Tensor]];
      const cotangent = tensor(find(test.cotangent).data, { shape: find(test.cotangent).shape, dtype });
      F.sum(F.mul(out, cotangent)).backward();
      const states = Array.isArray(hidden) ? hidden : [hidden];
      const grads = Object.entries(test.grads).map(([name, key]) => [key, layer.getTensor(name).grad!] as const);
      const values = [[test.out, out] as const, ...test.hidden.map((key, i) => [key, states[i]] as const), [test.xGrad, x.grad!] as const, ...grads];
      await realize(...values.map(([, value]) => value));
      const problems = values.map(([key, value]) => difference(key, value.dataSync(), value.shape, find(key), rtol, atol));
      expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
    });
  });
});

describe("golden schedulers", () => {
  it.each(json.schedulers.map((schedule) => [schedule.scheduler, schedule] as const))("%s", (name, { options, baseLr, lrs }) => {
    const optimizer = new optim.SGD([tensor([0], { requiresGrad: true })], { lr: baseLr, momentum: 0.9 });
    const scheduler = new (optim as unknown as Record<string, new (optimizer: optim.SGD, options: object) => optim.Scheduler>)[name](optimizer, options);
    for (const expected of lrs) {
      const lr = optimizer.paramGroups[0].lr;
      expect(scheduler.getLastLr()).toEqual([lr]);
      // equal but for the last bits of cos, in which JavaScript engines and C libraries differ
      expect(Math.abs(lr - expected)).toBeLessThanOrEqual(1e-15 * Math.abs(expected));
      scheduler.step();
    }
  });
});
