import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, useBackend, type Tensor } from "graftml";
import { planOf } from "graftml/runtime";
import { values } from "../../test/gradients.js";

const array = (shape: readonly number[], seed: number): Tensor => fromData(Float64Array.from(values(shape, seed)), [...shape], "f64");
const steps = (result: Tensor): number => planOf(() => [result]).steps;

describe("products of rows that do not lie one behind the other", () => {
  beforeAll(() => useBackend("cpu"));
  afterAll(() => useBackend(undefined));

  const states = array([7, 3, 5], 1); // time, batch, width, as a recurrent network leaves them
  const weight = array([5, 4], 2);

  it("are one product of a copy, where one matrix is on the right of them all", () => {
    const result = F.matmul(F.transpose(states, 0, 1), weight);
    const want = states.dataSync();
    const w = weight.dataSync();
    result.dataSync().forEach((x, i) => {
      const [batch, time, col] = [Math.floor(i / 28), Math.floor(i / 4) % 7, i % 4];
      let sum = 0;
      for (let k = 0; k < 5; k++) sum += want[(time * 3 + batch) * 5 + k] * w[k * 4 + col];
      expect(Math.abs(x - sum)).toBeLessThan(1e-12);
    });
    expect(steps(F.matmul(F.transpose(states, 0, 1), weight))).toBe(2); // copy, matmul
  });

  it("stay as they are where the right side has as many matrices", () => {
    expect(steps(F.matmul(F.transpose(states, 0, 1), array([3, 5, 4], 3)))).toBe(1);
    expect(steps(F.matmul(F.narrow(states, 2, 1, 4), array([4, 4], 4)))).toBe(1); // rows of a slice are one step apart
  });
});

describe("results that are reshapes", () => {
  beforeAll(() => useBackend("cpu"));
  afterAll(() => useBackend(undefined));

  const x = array([4, 6], 5);

  it("are stored by the step that computes what they are a reshape of", () => {
    expect(steps(F.reshape(F.softmax(x), [24]))).toBe(1);
    const y = F.reshape(F.softmax(x), [2, 12]);
    expect(y.shape).toEqual([2, 12]);
    expect(Array.from(y.dataSync())).toEqual(Array.from(F.softmax(x).dataSync()));
  });

  it("are copied where the value is wanted twice, is an input, or lies in another order", () => {
    const y = F.softmax(x);
    expect(planOf(() => [y, F.reshape(y, [24])]).steps).toBe(2);
    expect(steps(F.reshape(x, [24]))).toBe(1);
    expect(steps(F.transpose(F.softmax(x), 0, 1))).toBe(2);
    const [whole, flat] = [F.softmax(x), F.softmax(x)].map((z, i) => (i === 0 ? z : F.reshape(z, [24])));
    expect(Array.from(flat.dataSync())).toEqual(Array.from(whole.dataSync()));
  });
});
