import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, grad, realize, tensor, useBackend, type Tensor } from "graftml";
import { hasBackend, suiteBackends } from "../backends.js";
import { prepare, readGolden, stored, type OpCase, type PrepareOptions } from "./cases.js";
import { call, differences, objective } from "./run.js";

const { json, tensors } = await readGolden<{ cases: readonly OpCase[] }>("ops/ops");
const cases = json.cases.map((test) => [test.id, test] as const);
const differentiable = cases.filter(([, { grads }]) => grads !== undefined && Object.keys(grads).length > 0);

describe.each(suiteBackends)("golden ops on the %s backend", (backend) => {
  beforeAll(() => {
    if (hasBackend(backend)) useBackend(backend);
  });
  afterAll(() => useBackend(undefined));

  describe.skipIf(!hasBackend(backend)).each(["f32", "f64"] as const)("%s (where this machine has the backend)", (dtype) => {
    it.each(cases)("%s", async (_, test) => expect(await differences(test, tensors, dtype)).toEqual([]));
  });
});

/**
 * Functions whose gradient, as in PyTorch, is meant for inputs of a certain kind; the check moves along such inputs only.
 * cholesky reads one triangle but gives both the gradient of a symmetric matrix; ctcLoss takes what logSoftmax returns.
 */
const inputKind: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  cholesky: (x) => F.mul(F.add(x, F.transpose(x)), 0.5),
  ctcLoss: (x) => F.logSoftmax(x, -1),
};

/** The objective of a case as a function of its inputs. */
function objectiveOf(test: OpCase, { args }: { readonly args: readonly unknown[] }): Tensor {
  const kind = inputKind[test.call];
  return objective(test, tensors, call(test, kind === undefined ? args : [kind(args[0] as Tensor), ...args.slice(1)]));
}

/** Gradients that cannot be differentiated again, as in PyTorch. */
const onceOnly = new Set(["ctcLoss"]);

/** Deterministic values in [-1, 1). */
function pseudoRandom(count: number, seed: number): Float64Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/**
 * Compares gradients of `f` (a scalar function of the case's inputs) with central differences: along a few single elements of each input, and
 * along one direction through all elements.
 */
function checkGradients(test: OpCase, f: (options: PrepareOptions) => Tensor, gradients: ReadonlyMap<string, Float64Array>, rtol: number): string[] {
  const problems: string[] = [];
  const h = 1e-5;
  const at = (key: string, values: Float64Array): number => f({ dtype: "f64", replace: new Map([[key, values]]) }).item();
  for (const [key, gradient] of gradients) {
    const base = Float64Array.from(stored(tensors, key).data);
    const compare = (name: string, direction: Float64Array): void => {
      const moved = (sign: number): Float64Array => base.map((x, i) => x + sign * h * direction[i]);
      const numeric = (at(key, moved(1)) - at(key, moved(-1))) / (2 * h);
      const analytic = gradient.reduce((total, g, i) => total + g * direction[i], 0);
      if (!(Math.abs(numeric - analytic) <= 1e-6 + rtol * Math.abs(numeric))) problems.push(`${key} ${name}: analytic ${analytic}, numeric ${numeric}`);
    };
    const step = Math.max(1, Math.floor(base.length / 7)); // about seven elements, spread out
    for (let i = 0; i < base.length; i += step) compare(`element ${i}`, base.map((_, j) => (j === i ? 1 : 0)));
    compare("direction", pseudoRandom(base.length, 7));
  }
  return problems;
}

describe("gradients against central differences (f64)", () => {
  it.each(differentiable)("%s", async (_, test) => {
    const prepared = prepare(test, tensors, { dtype: "f64", requiresGrad: true });
    const { leaves } = prepared;
    objectiveOf(test, prepared).backward();
    const keys = Object.keys(test.grads!);
    await realize(...keys.map((key) => leaves.get(key)!.grad!));
    const gradients = new Map(keys.map((key) => [key, leaves.get(key)!.grad!.dataSync() as Float64Array]));
    const value = (options: PrepareOptions): Tensor => objectiveOf(test, prepare(test, tensors, options));
    expect(checkGradients(test, value, gradients, 1e-6)).toEqual([]);
  });
});

/** <first gradients, fixed random directions>, as a function of the inputs: its gradient is a second derivative. */
function gradientObjective(test: OpCase, options: PrepareOptions): { value: Tensor; leaves: ReadonlyMap<string, Tensor> } {
  const keys = Object.keys(test.grads!);
  const { leaves } = prepare(test, tensors, options);
  const inputs = keys.map((key) => leaves.get(key)!);
  const first = (...points: Tensor[]): Tensor => {
    const replace = new Map<string, Tensor>([...leaves, ...keys.map((key, i) => [key, points[i]] as const)]);
    return objectiveOf(test, prepare(test, tensors, { dtype: "f64", replace }));
  };
  const found: Tensor | Tensor[] = (grad(first) as (...points: Tensor[]) => Tensor | Tensor[])(...inputs);
  const list = Array.isArray(found) ? found : [found];
  const terms = list.map((g, i) => F.sum(F.mul(g, tensor(pseudoRandom(g.size, i + 1), { dtype: "f64", shape: g.shape }))));
  return { value: terms.reduce((total, term) => F.add(total, term)), leaves };
}

describe("second derivatives against central differences of the gradient (f64)", () => {
  it.each(differentiable.filter(([, { call: name }]) => !onceOnly.has(name)))("%s", async (_, test) => {
    const keys = Object.keys(test.grads!);
    const { value, leaves } = gradientObjective(test, { dtype: "f64", requiresGrad: true });
    // a gradient that does not depend on the inputs has second derivative 0
    if (value.requiresGrad) value.backward();
    const second = keys.map((key) => leaves.get(key)!.grad);
    await realize(...second.filter((g) => g !== null));
    const gradients = new Map(keys.map((key, i) => [key, (second[i]?.dataSync() as Float64Array | undefined) ?? new Float64Array(stored(tensors, key).data.length)]));
    expect(checkGradients(test, (options) => gradientObjective(test, options).value, gradients, 1e-5)).toEqual([]);
  });
});
