import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { assign, realize, tensor, useBackend, type Tensor, type TypedArray } from "graftml";
import { hasKernels, kernelBackend } from "../backends.js";
import { add, cast, expand, flip, gt, matmul, max, maximum, mul, permute, reshape, slice, sub, sum, tanh, transpose, where } from "graftml/ops";

/** A random choice that is made again the same way for each backend. */
type Choose = (n: number) => number;

/** Builds a random graph over a few inputs, some of which are overwritten; returns what to read. */
function build(choose: Choose): { outputs: Tensor[]; state: Tensor[] } {
  const rows = 1 + choose(4);
  const cols = 1 + choose(5);
  const values = (seed: number, n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed * 7 + i * 1.7));
  const state = [0, 1].map((k) => tensor(values(k, rows * cols), { shape: [rows, cols] }));
  const known: Tensor[] = [...state, tensor(values(2, rows * cols), { shape: [rows, cols] }), tensor(values(3, cols), { shape: [cols] })];
  const matrix = (): Tensor => {
    const x = known[choose(known.length)];
    return x.shape.length === 2 && x.shape[0] === rows && x.shape[1] === cols ? x : expand(reshape(sum(x), [1, 1]), [rows, cols]);
  };
  const steps = 3 + choose(14);
  for (let i = 0; i < steps; i++) {
    const x = matrix();
    const make: (() => Tensor)[] = [
      () => add(x, matrix()),
      () => mul(x, known[3]),
      () => sub(tanh(x), 0.25),
      () => where(gt(x, matrix()), x, mul(matrix(), 0.5)),
      () => maximum(x, matrix()),
      () => sum(x, { dim: choose(2), keepdim: true }),
      () => sub(x, max(x, { dim: 1, keepdim: true })),
      () => transpose(reshape(x, [cols, rows])),
      () => flip(x, [choose(2)]),
      () => slice(x, 0, choose(rows), 1),
      () => permute(x, [1, 0]),
      () => cast(cast(x, "i32"), "f32"),
      () => cast(cast(x, "bf16"), "f32"),
      () => matmul(matmul(x, transpose(matrix())), matrix()),
      () => add(matmul(x, matmul(transpose(x), matrix())), known[3]),
    ];
    known.push(make[choose(make.length)]());
    if (choose(6) === 0) {
      const target = state[choose(state.length)];
      assign(target, mul(add(target, matrix()), 0.5));
    }
    if (choose(9) === 0) assign(state[choose(2)], matrix());
  }
  return { outputs: [known[known.length - 1], known[4 + choose(known.length - 4)]], state };
}

async function run(backend: typeof kernelBackend | "reference", choices: readonly number[]): Promise<TypedArray[]> {
  useBackend(backend);
  let at = 0;
  const { outputs, state } = build((n) => (choices[at++ % choices.length] * 31 + at) % n);
  await realize(...outputs);
  return Promise.all([...outputs, ...state].map((x) => x.data()));
}

describe.skipIf(!hasKernels)("random graphs", () => {
  afterAll(() => useBackend(undefined));

  it("give the same on the native backend, fused and planned, as on the reference", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(1000), { minLength: 20, maxLength: 60 }), async (choices) => {
        const expected = await run("reference", choices);
        const actual = await run(kernelBackend, choices);
        actual.forEach((values, i) => {
          expect(values.length).toBe(expected[i].length);
          values.forEach((x, j) => expect(Math.abs(x - expected[i][j])).toBeLessThanOrEqual(2e-4 + 2e-4 * Math.abs(expected[i][j])));
        });
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});
