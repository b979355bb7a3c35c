import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, full, nn, realize, useBackend, type Tensor } from "graftml";
import { planOf } from "graftml/runtime";
import { values } from "../../test/gradients.js";

const [rows, classes, width] = [600, 40_000, 4]; // logits of 96 MB: two chunks
const array = (shape: readonly number[], seed: number): Tensor => fromData(Float32Array.from(values(shape, seed)), [...shape], "f32");
const labels = fromData(Int32Array.from({ length: rows }, (_, i) => (i % 7 === 3 ? -100 : (i * 7919) % classes)), [rows], "i32");

interface Case {
  readonly name: string;
  readonly loss: (logits: Tensor) => Tensor;
  readonly bias?: boolean;
  readonly tied?: boolean;
}

const cases: Case[] = [
  { name: "a mean", loss: (logits) => F.crossEntropy(logits, labels) },
  { name: "a sum with a bias", bias: true, loss: (logits) => F.mul(F.crossEntropy(logits, labels, { reduction: "sum" }), 0.01) },
  { name: "weights of classes and smoothing", bias: true, loss: (logits) => F.crossEntropy(logits, labels, { weight: F.add(F.square(array([classes], 9)), 0.1), labelSmoothing: 0.1 }) },
  { name: "a projection that is the embedding too", tied: true, loss: (logits) => F.mul(F.crossEntropy(logits, labels), 3) },
];

/** What a head computes: the loss, and the gradients of its input and its parameters. */
function step({ loss, bias = false, tied = false }: Case): { loss: Tensor; logits: Tensor; gradients: () => Tensor[] } {
  const head = new nn.Linear(width, classes, { bias });
  head.weight = new nn.Parameter(array([classes, width], 1));
  if (bias) head.bias = new nn.Parameter(array([classes], 2));
  const x = new nn.Parameter(array([3, rows / 3, width], 3));
  const ids = F.reshape(F.clamp(labels, { min: 0 }), [3, rows / 3]);
  const logits = head.forward(tied ? F.add(x, F.embedding(ids, head.weight)) : x);
  const cost = loss(F.reshape(logits, [rows, classes]));
  return {
    loss: cost,
    logits,
    gradients: () => {
      cost.backward();
      return [x, ...head.parameters()].map(({ grad }) => grad!);
    },
  };
}

const close = (found: Tensor, wanted: Tensor, share: number): void => {
  const [a, b] = [found, wanted].map((x) => [...(x.dataSync() as Float32Array)]);
  expect(found.shape).toEqual(wanted.shape);
  const most = b.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
  expect(a.reduce((top, value, i) => Math.max(top, Math.abs(value - b[i])), 0)).toBeLessThanOrEqual(share * most);
};

describe("the loss of a large projection", () => {
  beforeAll(() => useBackend("cpu"));
  afterAll(() => useBackend(undefined));

  it.each(cases)("by chunks of rows, with its gradients, is what it is where the logits are kept: $name", async (given) => {
    const chunked = step(given);
    const gradients = chunked.gradients();
    expect(planOf(() => [chunked.loss, ...gradients]).arenaBytes).toBeLessThan(60e6);
    await realize(chunked.loss, ...gradients);

    const whole = step(given);
    const wanted = whole.gradients();
    expect(planOf(() => [whole.logits, whole.loss, ...wanted]).outputBytes).toBeGreaterThan(rows * classes * 4); // somebody reads the logits
    await realize(whole.logits, whole.loss, ...wanted);
    close(chunked.loss, whole.loss, 1e-6);
    gradients.forEach((gradient, i) => close(gradient, wanted[i], 2e-6));
  });

  it("alone keeps no logits either", async () => {
    const { loss } = step(cases[1]);
    expect(planOf(() => [loss]).arenaBytes).toBeLessThan(50e6);
    const whole = step(cases[1]);
    await realize(whole.logits, whole.loss);
    close(loss, whole.loss, 1e-6);
  });

  it("names the row of a label that is no class", async () => {
    const wrong = labels.dataSync().slice() as Int32Array;
    wrong[571] = classes;
    const { loss } = step({ ...cases[0], loss: (logits) => F.crossEntropy(logits, fromData(wrong, [rows], "i32")) });
    await expect(realize(loss)).rejects.toThrow(`crossEntropy: target ${classes} at [571] is out of range`);
  });

  it("takes labels that are all the same number", async () => {
    const { loss } = step({ ...cases[0], loss: (logits) => F.crossEntropy(logits, full([rows], 5, { dtype: "i32" })) });
    const same = step({ ...cases[0], loss: (logits) => F.crossEntropy(logits, fromData(new Int32Array(rows).fill(5), [rows], "i32")) });
    close(loss, same.loss, 0);
  });

  it("stays whole where the loss of each row is wanted", () => {
    const each = step({ ...cases[0], loss: (logits) => F.crossEntropy(logits, labels, { reduction: "none" }) });
    expect(planOf(() => [each.loss]).arenaBytes).toBeGreaterThan(rows * classes * 4 - 1);
  });
});
