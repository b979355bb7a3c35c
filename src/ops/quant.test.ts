import { afterEach, describe, expect, it } from "vitest";
import { F, fromData, gradcheck, noGrad, randn, manualSeed, tensor, useBackend, type Tensor } from "graftml";
import { backendNames } from "../../test/backends.js";
import { ops } from "graftml/graph";
import type { QuantMatrix } from "./quant.js";

afterEach(() => useBackend(undefined));

let seed = 1;
const random = (n: number): number => {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return Math.floor((seed / 2147483648) * n);
};

/** A matrix of random codes. */
function randomMatrix(rows: number, columns: number, bits: 4 | 8, blockSize: number, twoLevels: boolean): QuantMatrix {
  const blocks = Math.ceil((rows * columns) / blockSize);
  const bytes = (n: number): Tensor => fromData(Uint8Array.from({ length: n }, () => random(256)), [n], "u8");
  const floats = (n: number, from: number): Tensor => fromData(Float32Array.from({ length: n }, () => from + random(1000) / 1000), [n], "f32");
  return {
    rows, columns, bits, blockSize,
    codes: bytes(Math.ceil((rows * columns * bits) / 8)),
    scales: twoLevels ? bytes(blocks) : floats(blocks, 0.5),
    second: twoLevels ? tensor([1.5, ...Array.from({ length: Math.ceil(blocks / 256) }, () => 0.001 * (1 + random(8)))]) : tensor([0]),
    book: floats(2 ** bits, -0.5),
  };
}

const shapes: readonly [rows: number, columns: number, M: number, blockSize: number][] = [
  [1, 1, 1, 64], [3, 5, 2, 4], [7, 33, 1, 16], [48, 40, 5, 64], [65, 129, 19, 64], [300, 520, 70, 128], [96, 64, 300, 32],
];

describe.each(backendNames)("quantLinear on %s", (backend) => {
  const small = backend !== "reference" ? shapes : shapes.slice(0, 4);
  describe.each(["f32", "f64"] as const)("%s", (dtype) => {
    it.each(small.flatMap((shape) => ([4, 8] as const).flatMap((bits) => [false, true].map((two) => [...shape, bits, two] as const))))(
      "[%d, %d] with %d rows, blocks of %d, %d bits, two levels %s: equal to the plain product, both ways",
      async (rows, columns, M, blockSize, bits, two) => {
        useBackend(backend);
        manualSeed(rows);
        const matrix = randomMatrix(rows, columns, bits, blockSize, two);
        const op = ops.get("quantLinear")!;
        for (const transposed of [false, true]) {
          const x = randn([2, M, transposed ? rows : columns], { dtype });
          const { codes, scales, second, book } = matrix;
          const expected = op.composite!([x, codes, scales, second, book], { rows, columns, bits, blockSize, transposed }) as Tensor;
          const [got, want] = [await F.quantLinear(x, matrix, { transposed }).data(), await expected.data()];
          const bound = (dtype === "f64" ? 1e-12 : 3e-6) * Math.sqrt(columns + rows) * 8;
          expect(Math.max(...got.map((value, i) => Math.abs(value - want[i])))).toBeLessThan(bound);
        }
      },
    );
  });

  it("has the gradient of the plain product, and none for the matrix", async () => {
    useBackend(backend);
    const matrix = randomMatrix(6, 10, 4, 16, true);
    const x = randn([3, 10], { dtype: "f64", requiresGrad: true });
    expect(gradcheck((z) => F.quantLinear(z, matrix), [x])).toBeLessThan(1e-6);
    F.sum(F.square(F.quantLinear(x, matrix))).backward();
    const own = await x.grad!.data();
    x.grad = null;
    F.sum(F.square(F.linear(x, F.cast(F.dequantize(matrix), "f64")))).backward();
    const plain = await x.grad!.data();
    expect(Math.max(...own.map((value, i) => Math.abs(value - plain[i])))).toBeLessThan(1e-5); // dequantize rounds to f32
  });

  it("takes a bias, a residual and an activation into its kernel", async () => {
    useBackend(backend);
    const matrix = randomMatrix(24, 40, 4, 64, false);
    const [x, bias, residual] = [randn([2, 3, 40]), randn([24]), randn([2, 3, 24])];
    const y = noGrad(() => F.add(F.relu(F.add(F.quantLinear(x, matrix), bias)), residual));
    const plain = noGrad(() => F.add(F.relu(F.linear(x, F.dequantize(matrix), bias)), residual));
    const [got, want] = [await y.data(), await plain.data()];
    expect(Math.max(...got.map((value, i) => Math.abs(value - want[i])))).toBeLessThan(2e-5);
  });

  it.each([1, 2, 40])("codes at equal steps are numbers: %d row(s)", async (M) => {
    useBackend(backend);
    const steps = fromData(Float32Array.from({ length: 256 }, (_, code) => (code - 128) / 127), [256], "f32");
    const matrix = { ...randomMatrix(50, 70, 8, 16, false), book: steps };
    const x = randn([M, 70]);
    const [got, want] = [await F.quantLinear(x, matrix).data(), await F.linear(x, F.dequantize(matrix)).data()];
    expect(Math.max(...got.map((value, i) => Math.abs(value - want[i])))).toBeLessThan(2e-5);
  });

  it("bf16 goes in and comes out", () => {
    useBackend(backend);
    expect(F.quantLinear(F.cast(randn([2, 10]), "bf16"), randomMatrix(6, 10, 8, 16, false)).dtype).toBe("bf16");
  });
});

it("says what does not fit", () => {
  const matrix = randomMatrix(6, 10, 4, 16, true);
  expect(() => F.quantLinear(randn([3, 6]), matrix)).toThrow(/x is \[3, 6\], the matrix \[6, 10\]\. The last dim of x must be 10/);
  expect(() => F.quantLinear(randn([3, 10]), { ...matrix, blockSize: 48 })).toThrow(/power of two/);
  expect(() => F.quantLinear(randn([3, 10]), { ...matrix, codes: matrix.scales })).toThrow(/codes is u8 \[4\], not u8 \[30\]/);
});
