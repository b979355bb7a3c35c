import { F, grad, tensor, type Tensor } from "graftml";
import { describe, expect, it } from "vitest";
import { read } from "../house/tree.js";
import { blocksOf } from "./blocks.js";
import { PageRunner } from "./run.js";

type Value = number | number[] | number[][];
type Numbers = Readonly<Record<string, Value>>;

const page = "docs/backpropagation.md";

/** The numbers on the page, block by block: what they are (start, forward, backward, update) and their values by name. */
const shown = [...read(page).matchAll(/^```numbers (\w+)\n([\s\S]*?)^```/gm)].map(([, kind, text]) => ({
  kind,
  numbers: Object.fromEntries(text.trim().split("\n").map((line) => [line.split("=")[0].trim(), JSON.parse(line.split("=")[1]) as Value])) as Numbers,
}));

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i], 0);
const outer = (a: readonly number[], b: readonly number[]): number[][] => a.map((x) => b.map((y) => x * y));

/** One step by plain loops: everything it computes, by the names of the page. */
function step({ x, t, eta, W1, b1, W2, b2 }: { x: number[]; t: number[]; eta: number; W1: number[][]; b1: number[]; W2: number[][]; b2: number[] }) {
  const z1 = W1.map((row, i) => dot(row, x) + b1[i]);
  const h = z1.map((z) => Math.max(z, 0));
  const z2 = W2.map((row, i) => dot(row, h) + b2[i]);
  const dz2 = z2.map((z, i) => z - t[i]);
  const J = dot(dz2, dz2) / 2;
  const dh = h.map((_, j) => dot(W2.map((row) => row[j]), dz2));
  const dz1 = dh.map((d, i) => (z1[i] > 0 ? d : 0));
  const backward = { dz2, dW2: outer(dz2, h), db2: dz2, dh, dz1, dW1: outer(dz1, x), db1: dz1 };
  const matrix = (W: number[][], dW: number[][]): number[][] => W.map((row, i) => row.map((w, j) => w - eta * dW[i][j]));
  const vector = (b: number[], db: number[]): number[] => b.map((w, i) => w - eta * db[i]);
  const update = { W1: matrix(W1, backward.dW1), b1: vector(b1, dz1), W2: matrix(W2, backward.dW2), b2: vector(b2, dz2) };
  return { forward: { z1, h, z2, J }, backward, update };
}

const flat = (value: unknown): number[] => [value].flat(2) as number[];

/** The page rounds to six digits behind the point. */
function expectShown(numbers: Numbers, computed: Readonly<Record<string, unknown>>): void {
  expect(Object.keys(numbers)).toEqual(Object.keys(computed));
  for (const [name, value] of Object.entries(numbers)) {
    const [a, b] = [flat(value), flat(computed[name])];
    expect(a.length, name).toBe(b.length);
    a.forEach((number, i) => expect(Math.abs(number - b[i]), `${name}: ${number}, computed ${b[i]}`).toBeLessThanOrEqual(0.5000001e-6));
  }
}

describe("docs/backpropagation.md", () => {
  const start = shown[0].numbers as unknown as Parameters<typeof step>[0];

  it("shows the numbers that plain loops compute", () => {
    expect(shown.map(({ kind }) => kind)).toEqual(["start", "forward", "backward", "update", "forward", "backward", "update", "forward"]);
    let at = start;
    let result = step(at);
    for (const { kind, numbers } of shown.slice(1)) {
      expectShown(numbers, result[kind as keyof typeof result]);
      if (kind === "update") {
        at = { ...at, ...result.update };
        result = step(at);
      }
    }
  });

  it("shows the gradients that Graft computes", async () => {
    const f64 = (values: Value): Tensor => tensor(values, { dtype: "f64" });
    const { x, t } = start;
    const cost = (W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor): Tensor => F.linear(F.relu(F.linear(f64(x), W1, b1)), W2, b2).sub(f64(t)).square().sum().mul(0.5);
    const gradients = (grad as (f: typeof cost) => (...inputs: Tensor[]) => Tensor[])(cost)(...[start.W1, start.b1, start.W2, start.b2].map(f64));
    const [dW1, db1, dW2, db2] = await Promise.all(gradients.map((g) => g.toArray()));
    const { dz2: _, dh: __, dz1: ___, ...weights } = shown[2].numbers;
    expectShown(weights, { dW2, db2, dW1, db1 });
  });

  it("shows a training in Graft with the same costs", async () => {
    const [block] = blocksOf(page).filter(({ language }) => language === "ts");
    const { exports } = await new PageRunner().run(block);
    const costs = shown.filter(({ kind }) => kind === "forward").map(({ numbers }) => numbers.J as number);
    (exports.costs as number[]).forEach((cost, i) => expect(Math.abs(cost - costs[i])).toBeLessThan(2e-6));
    expect(exports.costs).toHaveLength(3);
  });
});
