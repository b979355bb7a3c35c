import { describe, expect, it } from "vitest";
import { tensor } from "graftml";
import * as optim from "./index.js";

const make = (lr = 1, options: Partial<optim.SGDOptions> = {}): optim.SGD => new optim.SGD([tensor([0], { requiresGrad: true })], { lr, ...options });
const rate = (optimizer: optim.AnyOptimizer): number => optimizer.paramGroups[0].lr;
const run = (optimizer: optim.AnyOptimizer, scheduler: { step(): void }, count: number): number[] =>
  Array.from({ length: count }, () => {
    const lr = rate(optimizer);
    scheduler.step();
    return lr;
  });
const close = (a: readonly number[], b: readonly number[]): void => a.forEach((x, i) => expect(x).toBeCloseTo(b[i], 12));

describe("schedulers without a golden file", () => {
  it("LambdaLR", () => {
    const optimizer = make(0.5);
    close(run(optimizer, new optim.LambdaLR(optimizer, (step) => 1 / (step + 1)), 3), [0.5, 0.25, 0.5 / 3]);
  });

  it("ConstantLR", () => {
    const optimizer = make();
    close(run(optimizer, new optim.ConstantLR(optimizer, { factor: 0.25, totalIters: 2 }), 4), [0.25, 0.25, 1, 1]);
  });

  it("MultiStepLR with a repeated milestone", () => {
    const optimizer = make();
    close(run(optimizer, new optim.MultiStepLR(optimizer, { milestones: [1, 1], gamma: 0.1 }), 3), [1, 0.01, 0.01]);
  });

  it("SequentialLR takes over at milestones, each from its start", () => {
    const optimizer = make();
    const constant = new optim.ConstantLR(optimizer, { factor: 0.1, totalIters: 2 });
    const exponential = new optim.ExponentialLR(optimizer, { gamma: 0.9 });
    close(run(optimizer, new optim.SequentialLR(optimizer, [constant, exponential], { milestones: [2] }), 5), [0.1, 0.1, 1, 0.9, 0.81]);
    expect(() => new optim.SequentialLR(optimizer, [constant], { milestones: [2] })).toThrow(/0 milestones/);
    expect(() => new optim.SequentialLR(make(), [constant], { milestones: [] })).toThrow(/another optimizer/);
  });

  it("ChainedScheduler multiplies", () => {
    const optimizer = make();
    const chained = new optim.ChainedScheduler([new optim.ConstantLR(optimizer, { factor: 0.1, totalIters: 2 }), new optim.ExponentialLR(optimizer, { gamma: 0.9 })]);
    close(run(optimizer, chained, 4), [0.1, 0.09, 0.81, 0.729]);
  });

  it("warm-up, then another", () => {
    const optimizer = make();
    const scheduler = optim.warmup(optimizer, { steps: 4, startFactor: 0.2 }, () => new optim.CosineAnnealingLR(optimizer, { tMax: 2 }));
    close(run(optimizer, scheduler, 7), [0.2, 0.4, 0.6, 0.8, 1, 0.5, 0]);
  });

  it("WSD", () => {
    const optimizer = make();
    close(run(optimizer, new optim.WSD(optimizer, { warmupSteps: 1, stableSteps: 2, decaySteps: 4, minFactor: 0.2 }), 9), [0.5, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2]);
  });

  it("OneCycleLR turns the momentum the other way, three phases, linear", () => {
    const optimizer = make(1, { momentum: 0.9 });
    const scheduler = new optim.OneCycleLR(optimizer, { maxLr: 1, totalSteps: 10, pctStart: 0.5, annealStrategy: "linear", divFactor: 5, finalDivFactor: 10 });
    const momentum: number[] = [];
    const rates = Array.from({ length: 10 }, () => {
      momentum.push(optimizer.paramGroups[0].momentum);
      const lr = rate(optimizer);
      scheduler.step();
      return lr;
    });
    close(rates.slice(0, 5), [0.2, 0.4, 0.6, 0.8, 1]);
    expect(rates[9]).toBeCloseTo(0.02, 12);
    close([momentum[0], momentum[4], momentum[9]], [0.95, 0.85, 0.95]);
    expect(() => run(optimizer, scheduler, 2)).toThrow(/beyond the cycle/);

    const adam = new optim.AdamW([tensor([0], { requiresGrad: true })]);
    const three = new optim.OneCycleLR(adam, { maxLr: 1, epochs: 2, stepsPerEpoch: 5, pctStart: 0.4, threePhase: true });
    expect(adam.paramGroups[0].betas).toEqual([0.95, 0.999]);
    const all = run(adam, three, 10);
    close([all[3], all[6], all[9]], [1, 0.04, 0.04 / 1e4]);
    expect(() => new optim.OneCycleLR(new optim.Adagrad([tensor([0], { requiresGrad: true })]), { maxLr: 1, totalSteps: 5 })).toThrow(/cycleMomentum: false/);
  });

  it("ReduceLROnPlateau waits, reduces, cools down, has a floor", () => {
    const optimizer = make();
    const scheduler = new optim.ReduceLROnPlateau(optimizer, { patience: 1, factor: 0.5, cooldown: 1, minLr: 0.2 });
    const rates = [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5].map((metric) => {
      scheduler.step(metric);
      return rate(optimizer);
    });
    expect(rates).toEqual([1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2]);
    const rising = make();
    const up = new optim.ReduceLROnPlateau(rising, { mode: "max", patience: 0, threshold: 0.1, thresholdMode: "abs" });
    for (const metric of [1, 1.05]) up.step(metric);
    expect(rate(rising)).toBeCloseTo(0.1, 12);
  });

  it.each<[string, (optimizer: optim.SGD) => optim.Scheduler]>([
    ["StepLR", (o) => new optim.StepLR(o, { stepSize: 2 })],
    ["CosineAnnealingLR", (o) => new optim.CosineAnnealingLR(o, { tMax: 5 })],
    ["CosineAnnealingWarmRestarts", (o) => new optim.CosineAnnealingWarmRestarts(o, { t0: 2, tMult: 2 })],
    ["OneCycleLR", (o) => new optim.OneCycleLR(o, { maxLr: 1, totalSteps: 12 })],
    ["SequentialLR", (o) => new optim.SequentialLR(o, [new optim.LinearLR(o), new optim.CosineAnnealingWarmRestarts(o, { t0: 2 })], { milestones: [3] })],
    ["ChainedScheduler", (o) => new optim.ChainedScheduler([new optim.LinearLR(o), new optim.ExponentialLR(o, { gamma: 0.9 })])],
  ])("%s: a saved state goes on the same way", (_, build) => {
    const [one, two] = [make(1, { momentum: 0.5 }), make(1, { momentum: 0.5 })];
    const [first, second] = [build(one), build(two)];
    const whole = run(one, first, 10);
    run(two, second, 4);
    const three = make(0.3, { momentum: 0.5 });
    const third = build(three);
    three.loadStateDict(two.stateDict());
    third.loadStateDict(JSON.parse(JSON.stringify(second.stateDict())) as optim.SchedulerState);
    expect(third.getLastLr()).toEqual(second.getLastLr());
    expect(run(three, third, 6)).toEqual(whole.slice(4));
    expect(() => third.loadStateDict({})).toThrow(/is missing/);
  });
});
