import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, grad, nn, useBackend, type Tensor } from "graftml";
import { planOf } from "graftml/runtime";
import { f64, values } from "../../test/gradients.js";

const matrices = (count: number, rows: number, cols: number, seed: number): Tensor[] =>
  Array.from({ length: count }, (_, i) => fromData(Float64Array.from(values([rows, cols], seed + i)), [rows, cols], "f64"));

/** How many kernels run for a result. */
const steps = (result: Tensor): number => planOf(() => [result]).steps;

/** A_1 B_1 + A_2 B_2 + ..., and the same as plain numbers. */
function check(as: readonly Tensor[], bs: readonly Tensor[], sum: (products: readonly Tensor[]) => Tensor = (products) => products.reduce((total, product) => F.add(total, product))): Tensor {
  const want = F.matmul(F.cat([...as], 1), F.cat([...bs], 0)).dataSync();
  const result = (): Tensor => sum(as.map((a, i) => F.matmul(a, bs[i])));
  result().dataSync().forEach((x, i) => expect(Math.abs(x - want[i])).toBeLessThan(1e-12));
  return result();
}

describe("sums of products", () => {
  beforeAll(() => useBackend("cpu"));
  afterAll(() => useBackend(undefined));

  it("become one product of joined operands, transposed or not", () => {
    const rows = matrices(6, 2, 30, 1); // read transposed, as a weight's gradient reads what goes out of a layer
    const result = check(rows.map((x) => F.transpose(x)), matrices(6, 2, 25, 20));
    expect(steps(result)).toBe(3); // cat, cat, matmul
    const plain = check(matrices(5, 30, 2, 3), matrices(5, 25, 2, 30).map((x) => F.transpose(x)), ([a, b, c, d, e]) => F.add(F.add(a, b), F.add(c, F.add(d, e))));
    expect(steps(plain)).toBe(3);
  });

  it("stay as they are where they are few, where joining would move more, and where a part is read elsewhere", () => {
    expect(steps(check(matrices(2, 30, 2, 1), matrices(2, 2, 25, 2)))).toBe(2);
    expect(steps(check(matrices(5, 6, 40, 1), matrices(5, 40, 6, 2)))).toBe(5);
    const products = matrices(5, 30, 2, 1).map((a, i) => F.matmul(a, matrices(5, 2, 25, 2)[i]));
    const partly = F.mul(products.reduce((total, product) => F.add(total, product)), F.exp(products[4]));
    const apart = products.reduce((total, product) => total.map((x, i) => x + product.dataSync()[i]), new Array<number>(750).fill(0));
    const last = products[4].dataSync();
    partly.dataSync().forEach((x, i) => expect(Math.abs(x - apart[i] * Math.exp(last[i]))).toBeLessThan(1e-10));
  });

  it("give a recurrent network's weight gradient the values of the reference", () => {
    const lstm = new nn.LSTM(3, 24).to("f64");
    const weight = lstm.parameters()[1];
    const w = f64(weight.shape, 7);
    const x = f64([9, 2, 3], 8);
    const loss = (value: Tensor): Tensor => {
      const original = weight.node;
      weight.node = value.node;
      const [y] = lstm.forward(x);
      weight.node = original;
      return F.sum(F.square(y));
    };
    const gradient = (backend: "cpu" | "reference"): Tensor => {
      useBackend(backend);
      return grad(loss)(w) as Tensor;
    };
    const reference = gradient("reference").dataSync();
    const native = gradient("cpu");
    native.dataSync().forEach((v, i) => expect(Math.abs(v - reference[i])).toBeLessThan(1e-10));
  });
});
