import { F, hasNative, randint, randn, realize, type Tensor } from "graftml";
import { describe, expect, it } from "vitest";

const width = 1024;
const rows = 8192 + 3; // more than 32 MiB of f32: results of that size go past the caches

/** The bits of some rows of a tensor [rows, width], which is never copied as a whole. */
const bitsOf = (y: Tensor, from: number, count: number): string => Buffer.from(y.node.value!.slice(from * width, (from + count) * width).buffer).toString("hex");

/** Rows that are computed apart from each other have the same bits whether their result is large or small. */
async function expectRowsEqual(f: (...inputs: readonly Tensor[]) => Tensor, inputs: readonly Tensor[]): Promise<void> {
  const whole = f(...inputs);
  await realize(whole);
  for (const from of [0, 4099, rows - 5]) {
    const part = f(...inputs.map((x) => (x.shape[0] === rows ? F.narrow(x, 0, from, 5) : x)));
    await realize(part);
    expect(bitsOf(part, 0, 5)).toBe(bitsOf(whole, from, 5));
  }
}

describe.skipIf(!hasNative())("results that go past the caches", () => {
  it("of element-wise programs", async () => {
    const [x, y] = [randn([rows, width]), randn([rows, width])];
    await realize(x, y);
    await expectRowsEqual((a) => F.gelu(a), [x]);
    await expectRowsEqual((a, b) => F.add(F.mul(a, b), 1), [x, y]);
    await expectRowsEqual((a, b) => F.mul(F.exp(F.mul(a, -2)), F.sigmoid(F.add(b, a))), [x, y]);
  });

  it("of softmax, its logarithm and norms, with their gradients", async () => {
    const [x, dy] = [randn([rows, width]), randn([rows, width])];
    const [w, b] = [randn([width]), randn([width])];
    await realize(x, dy, w, b);
    const gradient = (f: (x: Tensor) => Tensor) => (a: Tensor, d: Tensor): Tensor => {
      const leaf = a.detach();
      leaf.requiresGrad = true;
      f(leaf).backward({ gradient: d });
      return leaf.grad!;
    };
    for (const f of [(a: Tensor) => F.softmax(a), (a: Tensor) => F.logSoftmax(a), (a: Tensor) => F.layerNorm(a, w, b), (a: Tensor) => F.rmsNorm(a, w)]) {
      await expectRowsEqual(f, [x]);
      await expectRowsEqual(gradient(f) as (...inputs: readonly Tensor[]) => Tensor, [x, dy]);
    }
  });

  it("of an embedding and its gradient", async () => {
    const [table, at, few] = [randn([300, width]), randint(300, [rows]), randint(rows, [500])];
    await realize(table, at, few);
    await expectRowsEqual((index) => F.embedding(index, table), [at]);
    const weight = randn([rows, width], { requiresGrad: true });
    const dy = randn([500, width]);
    await realize(dy);
    F.embedding(few, weight).backward({ gradient: dy });
    await realize(weight.grad!);
    const expected = new Float32Array(5 * width);
    const [index, values, from] = [await few.data(), await dy.data(), rows - 5];
    const sums = new Float64Array(5 * width);
    index.forEach((row, k) => {
      for (let c = 0; row >= from && c < width; c++) sums[(row - from) * width + c] += values[k * width + c];
    });
    expected.set(sums);
    expect(bitsOf(weight.grad!, from, 5)).toBe(Buffer.from(expected.buffer).toString("hex"));
    expect(weight.grad!.node.value!.some((x) => x !== 0)).toBe(true);
  });
});
