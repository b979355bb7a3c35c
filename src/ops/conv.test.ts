import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, grad, onesLike, realizeSync, tensor, useBackend, zeros, type Tensor, type TypedArray } from "graftml";
import { loadAddon } from "../backend/index.js";
import { hasKernels, kernelBackend } from "../../test/backends.js";
import { backendNames, f64, gradientError, values } from "../../test/gradients.js";
import { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, type ConvOptions, type ConvTransposeOptions } from "./conv.js";
import { fold, unfold } from "./conv-unfold.js";

/** A number from 0 to n - 1 that looks random and is the same at every run. */
function dice(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * n);
  };
}

const f32 = (shape: readonly number[], seed = 0): Tensor => fromData(Float32Array.from(values(shape, seed)), shape, "f32");

/** y = f(...inputs) and the gradients of sum(y * weights) on one backend. */
function evaluate(backend: "reference" | typeof kernelBackend, f: (...xs: Tensor[]) => Tensor, make: () => Tensor[]): TypedArray[] {
  useBackend(backend);
  const inputs = make();
  const y = f(...inputs);
  const gradients = (grad as unknown as (f: (...xs: Tensor[]) => Tensor) => (...xs: Tensor[]) => Tensor[])((...xs) => F.sum(F.mul(f(...xs), F.cast(f64(y.shape, 99), y.dtype))))(...inputs);
  const results = [y, ...(Array.isArray(gradients) ? gradients : [gradients])];
  realizeSync(...results);
  return results.map((t) => t.dataSync());
}

function largestDifference(a: readonly TypedArray[], b: readonly TypedArray[]): number {
  let worst = 0;
  a.forEach((x, i) => x.forEach((v, j) => (worst = Math.max(worst, Math.abs(v - b[i][j]) / (1 + Math.abs(b[i][j]))))));
  return worst;
}

describe.each(backendNames)("convolution on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it("computes small cases worked by hand", () => {
    const x = tensor([[[1, 2, 3, 4]]]);
    expect(conv1d(x, tensor([[[1, 0, -1]]])).dataSync()).toEqual(Float32Array.of(-2, -2));
    expect(conv1d(x, tensor([[[1, 0, -1]]]), tensor([10]), { padding: 1 }).dataSync()).toEqual(Float32Array.of(8, 8, 8, 13));
    expect(convTranspose1d(x, tensor([[[1, 10]]]), null, { stride: 2 }).dataSync()).toEqual(Float32Array.of(1, 10, 2, 20, 3, 30, 4, 40));
    expect(convTranspose1d(x, tensor([[[1, 10, 100, 1000]]]), null, { stride: 4, outputPadding: 1 }).dataSync()).toEqual(
      Float32Array.of(...[1, 2, 3, 4].flatMap((n) => [n, 10 * n, 100 * n, 1000 * n]), 0),
    );
    const image = tensor([[[1, 2], [3, 4]]]); // one image without a batch: [C, H, W]
    expect(conv2d(image, tensor([[[[1, 1], [1, 1]]]]), null, { padding: "same" }).dataSync()).toEqual(Float32Array.of(10, 6, 7, 4));
    expect(conv2d(image, tensor([[[[1, 1], [1, 1]]]])).shape).toEqual([1, 1, 1]);
    const volume = tensor([[[[[1]], [[2]], [[4]]]]]); // [1, 1, 3, 1, 1]
    expect(conv3d(volume, tensor([[[[[1]], [[10]]]]])).dataSync()).toEqual(Float32Array.of(21, 42));
  });

  it("has the first and second derivative", () => {
    const check = (options: ConvOptions, x = [2, 2, 4, 3], w = [2, 2, 2, 3]) => expect(gradientError((a, b, c) => conv2d(a, b, c, options), [x, w, [w[0]]])).toBeUndefined();
    check({ padding: 1 });
    check({ stride: 2, padding: [1, 2], dilation: [1, 2] });
    check({ groups: 2, padding: "same" }, [1, 4, 3, 2], [2, 2, 1, 2]);
    const transposed = (options: ConvTransposeOptions, w = [2, 1, 2, 3]) => expect(gradientError((a, b) => convTranspose2d(a, b, null, options), [[1, 2, 2, 3], w])).toBeUndefined();
    transposed({ stride: [2, 3], padding: 1, outputPadding: [1, 2] });
    check({ stride: [2, 4] }, [2, 2, 5, 9], [2, 2, 2, 4]); // patches that do not overlap, with rows and columns left over
    transposed({ stride: [2, 4], outputPadding: [1, 2] }, [2, 1, 2, 4]);
    transposed({ groups: 2, dilation: 2, outputPadding: 1 });
    expect(gradientError((a, b) => conv3d(a, b, null, { padding: 1, stride: [2, 1, 1] }), [[1, 2, 3, 2, 2], [1, 2, 2, 1, 2]])).toBeUndefined();
    expect(gradientError((a, b) => conv1d(a, b, null, { stride: 2 }), [[2, 5], [1, 2, 2]])).toBeUndefined();
  });

  it("accepts empty batches, no channels, half precision and mixed dtypes", () => {
    expect(conv2d(zeros([0, 2, 5, 5]), zeros([3, 2, 3, 3])).shape).toEqual([0, 3, 3, 3]);
    expect(conv2d(zeros([0, 2, 5, 5]), zeros([3, 2, 3, 3])).dataSync().length).toBe(0);
    expect(conv2d(zeros([1, 0, 2, 2]), zeros([1, 0, 1, 1]), tensor([7])).dataSync()).toEqual(Float32Array.of(7, 7, 7, 7));
    const half = conv1d(F.cast(tensor([[1, 2, 3]]), "bf16"), F.cast(tensor([[[1, 1]]]), "bf16"), tensor([1]));
    expect(half.dtype).toBe("bf16");
    expect(F.cast(half, "f32").dataSync()).toEqual(Float32Array.of(4, 6));
    expect(conv1d(tensor([[1, 2, 3]], { dtype: "f64" }), tensor([[[1, 1]]])).dtype).toBe("f64");
  });

  it("unfold gives what a convolution multiplies, fold adds it back", () => {
    const [x, w] = [f64([2, 3, 5, 4]), f64([2, 3, 3, 2], 1)];
    const options = { stride: [2, 1], padding: 1, dilation: [1, 2] };
    const columns = unfold(x, { kernelSize: [3, 2], ...options });
    const y = conv2d(x, w, null, options);
    const product = F.matmul(F.reshape(w, [2, 18]), columns);
    expect(largestDifference([product.dataSync()], [y.dataSync()])).toBeLessThan(1e-12);
    const spread = fold(columns, { outputSize: [5, 4], kernelSize: [3, 2], ...options });
    const counts = fold(unfold(onesLike(x), { kernelSize: [3, 2], ...options }), { outputSize: [5, 4], kernelSize: [3, 2], ...options });
    expect(largestDifference([spread.dataSync()], [F.mul(x, counts).dataSync()])).toBeLessThan(1e-12);
    expect(gradientError((a) => unfold(a, { kernelSize: 2, stride: 2, padding: 1 }), [[1, 1, 3, 3]])).toBeUndefined();
    expect(gradientError((a) => fold(a, { outputSize: 3, kernelSize: 2 }), [[4, 4]])).toBeUndefined();
  });

  it("says what does not fit", () => {
    const [x, w] = [zeros([2, 3, 8, 8]), zeros([6, 3, 3, 3])];
    expect(() => conv2d(zeros([2, 4, 8, 8]), w)).toThrow("conv2d: x is [2, 4, 8, 8] with 4 channels, weight is [6, 3, 3, 3] [out, in/groups, kH, kW] with groups = 1, which needs 3 channels");
    expect(() => conv2d(x, w, null, { groups: 4 })).toThrow("6 output channels do not divide into 4 groups");
    expect(() => conv2d(x, w, null, { groups: 0 })).toThrow("groups is 0");
    expect(() => conv2d(zeros([8, 8]), w)).toThrow("conv2d: x is [8, 8]. It must be [N, C, H, W] or [C, H, W]");
    expect(() => conv2d(x, zeros([6, 3, 3]))).toThrow("weight is [6, 3, 3]. It must be [out, in/groups, kH, kW]");
    expect(() => conv2d(x, w, zeros([3]))).toThrow("bias is [3], the output has 6 channels");
    expect(() => conv2d(x, w, null, { padding: "same", stride: 2 })).toThrow('padding "same" needs stride 1');
    expect(() => conv2d(x, w, null, { padding: "full" as "same" })).toThrow('padding is "full"');
    expect(() => conv2d(x, w, null, { stride: 0 })).toThrow("stride is 0. Use a whole number of 1 or more, or 2 of them");
    expect(() => conv2d(x, w, null, { dilation: [1, 2, 3] })).toThrow("dilation is [1, 2, 3]");
    expect(() => conv2d(x, w, null, { strides: 2 } as ConvOptions)).toThrow('unknown option "strides". Did you mean "stride"?');
    expect(() => conv2d(zeros([2, 3, 2, 8]), w)).toThrow("the kernel [3, 3] (dilation [1, 1]) is larger than the padded image");
    expect(() => conv2d(zeros([2, 3, 8, 8], { dtype: "i32" }), w)).toThrow("x is i32");
    expect(() => convTranspose2d(x, zeros([3, 2, 3, 3]), null, { outputPadding: 1 })).toThrow("outputPadding is [1, 1], stride [1, 1]");
    expect(() => convTranspose2d(x, zeros([4, 2, 3, 3]))).toThrow("which needs 4 channels");
    expect(() => convTranspose2d(zeros([1, 3, 1, 1]), zeros([3, 2, 1, 1]), null, { padding: 1 })).toThrow("the result would be [-1, -1]");
    expect(() => unfold(x, { kernelSize: 9 })).toThrow("the window [9, 9]");
    expect(() => fold(zeros([1, 10, 4]), { outputSize: 3, kernelSize: 2 })).toThrow("needs [N, C * 4, 4]");
  });
});

describe.skipIf(!hasKernels)("native convolution", () => {
  afterAll(() => useBackend(undefined));

  it("agrees with the reference for many geometries, with both gradients and a fused bias, activation and residual", () => {
    const roll = dice(7);
    for (let trial = 0; trial < 60; trial++) {
      const groups = roll(3) === 0 ? 1 + roll(3) : 1;
      const [c, o] = [groups * (1 + roll(4)), groups * (1 + roll(9))];
      const kernel = [1 + roll(4), 1 + roll(4)];
      const options = { stride: [1 + roll(3), 1 + roll(3)], dilation: [1 + roll(2), 1 + roll(2)], groups, padding: [roll(4), roll(4)] };
      const image = kernel.map((k, d) => options.dilation[d] * (k - 1) + 1 + roll(9 + 12 * d));
      const transposed = roll(3) === 0;
      const shapes = [[1 + roll(3), c, ...image], transposed ? [c, o / groups, ...kernel] : [o, c / groups, ...kernel], [o]];
      const padding = transposed ? [0, 0] : options.padding;
      const make = () => shapes.map((shape, i) => (trial % 2 ? f64(shape, i) : f32(shape, i)));
      const run = (x: Tensor, w: Tensor, b: Tensor): Tensor => {
        const y = transposed ? convTranspose2d(x, w, b, { ...options, padding }) : conv2d(x, w, b, { ...options, padding });
        const row = F.cast(f64([y.shape[3]], 5), y.dtype); // varies along the width only, so the pixels do not merge into one dim
        return trial % 3 === 0 ? y : F.mul(F.tanh(y), trial % 3 === 1 ? F.add(F.square(y), 1) : F.add(y, row));
      };
      const difference = largestDifference(evaluate(kernelBackend, run, make), evaluate("reference", run, make));
      expect(difference, `trial ${trial}: ${JSON.stringify({ shapes, ...options, transposed })}`).toBeLessThan(trial % 2 ? 1e-11 : 3e-4);
    }
  });

  it("agrees with the reference where each channel has a kernel of its own, with both gradients and a fused bias and activation", () => {
    for (const [height, width, kernel, stride, dilation, multiplier] of [
      [1, 1, 3, 1, 1, 1], [2, 15, 3, 1, 1, 1], [5, 16, 3, 1, 1, 1], [6, 17, 3, 2, 1, 1], [9, 40, 5, 1, 1, 1], [11, 70, 7, 1, 1, 1], [12, 33, 7, 2, 1, 1], [8, 20, 2, 1, 1, 1], [13, 19, 4, 3, 1, 1],
      [10, 34, 3, 1, 2, 1], [10, 34, 3, 2, 3, 1], [7, 65, 3, 1, 1, 2], [40, 48, 3, 1, 1, 1], [30, 150, 5, 2, 1, 1],
    ] as const) {
      const channels = 3;
      const padding = ((kernel - 1) * dilation) >> 1;
      const f = (x: Tensor, w: Tensor, b: Tensor): Tensor => F.relu(conv2d(x, w, b, { padding, stride, dilation, groups: channels }));
      const make = (): Tensor[] => [f32([2, channels, height, width]), f32([channels * multiplier, 1, kernel, kernel], 1), f32([channels * multiplier], 2)];
      const note = [height, width, kernel, stride, dilation, multiplier].join();
      expect(largestDifference(evaluate(kernelBackend, f, make), evaluate("reference", f, make)), note).toBeLessThan(2e-5);
      const wide = (): Tensor[] => make().map((t) => F.cast(t, "f64"));
      expect(largestDifference(evaluate(kernelBackend, f, wide), evaluate("reference", f, wide)), note).toBeLessThan(1e-12);
      useBackend(kernelBackend);
      const plain = (): Tensor => conv2d(f32([2, channels, height, width]), f32([channels * multiplier, 1, kernel, kernel], 1), null, { padding, stride, dilation, groups: channels });
      const native = plain().dataSync(); // without an epilogue: straight into the result
      useBackend("reference");
      expect(largestDifference([native], [plain().dataSync()]), note).toBeLessThan(2e-5);
    }
  });

  it("agrees with the reference where bands, blocks of channels and groups of images are many", () => {
    const cases: [number[], number[], ConvOptions][] = [
      [[2, 1, 30, 30], [100, 1, 3, 3], { padding: 1 }],
      [[1, 110, 7, 6], [105, 110, 3, 3], { padding: 1 }],
      [[1, 2, 1, 1700], [3, 2, 1, 9], { padding: [0, 4] }],
      [[1, 3, 33, 32], [8, 3, 8, 8], { stride: 8 }],
      [[70, 2, 5, 5], [3, 2, 3, 3], {}],
      [[1, 330, 4, 4], [5, 330, 1, 1], {}],
      [[1, 2, 1, 1300], [37, 2, 1, 9], { padding: [0, 4] }],
      [[3, 35, 15, 9], [290, 35, 3, 3], { padding: 1, stride: 2 }],
      [[9, 2, 21, 17], [33, 2, 5, 3], { padding: [2, 1] }],
    ];
    for (const [x, w, options] of cases) {
      const make = () => [f64(x), f64(w, 1)];
      const run = (a: Tensor, b: Tensor): Tensor => conv2d(a, b, null, options);
      expect(largestDifference(evaluate(kernelBackend, run, make), evaluate("reference", run, make)), JSON.stringify([x, w, options])).toBeLessThan(1e-11);
    }
  });

  it("agrees with the reference for many channels on images whose rows do not fill vectors", () => {
    const cases: [number[], number[], ConvOptions][] = [
      [[5, 24, 4, 4], [132, 24, 3, 3], { padding: 1 }],
      [[6, 9, 7, 7], [130, 9, 3, 3], { padding: 1 }],
      [[3, 10, 9, 8], [258, 5, 3, 3], { padding: 1, stride: 2, groups: 2 }],
      [[9, 70, 1, 3], [128, 70, 1, 1], {}],
      [[2, 12, 6, 5], [129, 12, 3, 2], { dilation: [2, 1], padding: [2, 1] }],
      [[2, 6, 16, 15], [131, 6, 3, 3], { padding: 1 }],
      [[7, 40, 9, 7], [70, 40, 3, 3], { padding: 1, stride: 2 }],
      [[3, 80, 5, 6], [128, 40, 3, 3], { padding: 1, groups: 2 }],
      [[2, 34, 23, 21], [33, 34, 3, 2], {}],
      [[3, 80, 9, 7], [34, 80, 1, 1], {}],
      [[1, 65, 26, 23], [33, 65, 1, 1], {}],
      [[2, 33, 12, 40], [36, 33, 3, 3], { padding: 1, stride: 2 }],
      [[2, 33, 12, 9], [70, 33, 1, 1], { stride: 2 }],
      [[2, 150, 3, 4], [34, 150, 3, 3], { padding: 1 }],
    ];
    cases.forEach(([x, w, options], i) => {
      for (const [make, tolerance] of [[f64, 1e-11], [f32, 3e-4]] as const) {
        const bias = (): Tensor => make([w[0]], 2);
        const run = (a: Tensor, b: Tensor): Tensor => (i % 2 === 0 ? conv2d(a, b, null, options) : F.tanh(conv2d(a, b, bias(), options)));
        const inputs = (): Tensor[] => [make(x), make(w, 1)];
        expect(largestDifference(evaluate("cpu", run, inputs), evaluate("reference", run, inputs)), JSON.stringify([x, w, options])).toBeLessThan(tolerance);
      }
    });
  });

  it("agrees with its f64 form, which is not computed in tiles, where 3x3 weights of many channels are, both gradients too", () => {
    const cases: [number[], number[], number | [number, number]][] = [
      [[2, 33, 12, 9], [34, 33, 3, 3], 1],
      [[3, 37, 13, 9], [45, 37, 3, 3], 2],
      [[1, 40, 20, 37], [33, 40, 3, 3], 0],
      [[9, 34, 4, 4], [300, 34, 3, 3], 1],
      [[1, 290, 12, 11], [33, 290, 3, 3], [0, 2]],
      [[7, 32, 1, 20], [32, 32, 3, 3], [1, 0]],
      [[1, 36, 3, 150], [61, 36, 3, 3], 1],
      [[20, 130, 3, 4], [140, 130, 3, 3], 1],
      [[9, 200, 13, 14], [36, 200, 3, 3], 1],
      [[3, 70, 61, 50], [100, 70, 3, 3], 1],
    ];
    cases.forEach(([x, w, padding], i) => {
      const results = [f32, f64].map((make) => {
        const run = (a: Tensor, b: Tensor): Tensor => (i % 2 === 0 ? conv2d(a, b, null, { padding }) : F.tanh(conv2d(a, b, make([w[0]], 2), { padding })));
        return evaluate(kernelBackend, run, () => [make(x), make(w, 1)]);
      });
      expect(largestDifference(results[0], results[1]), JSON.stringify([x, w, padding])).toBeLessThan(2e-4);
    });
  });

  it.each([
    [[20, 3, 14, 13], [40, 3, 3, 3], 2],
    [[20, 16, 5, 4], [140, 16, 3, 3], 2],
    [[20, 35, 5, 4], [140, 35, 3, 3], 1],
    [[3, 33, 60, 40], [36, 33, 3, 3], 1],
  ])("gives the same bits for any number of threads: %j, %j, stride %i", (xShape, wShape, stride) => {
    const loaded = loadAddon();
    if (!("addon" in loaded)) throw new Error(loaded.reason);
    const before = loaded.addon.threads();
    const make = () => [f32(xShape), f32(wShape, 1)];
    const run = (x: Tensor, w: Tensor): Tensor => F.relu(conv2d(x, w, null, { padding: 1, stride }));
    const results = [1, 2, 5].map((threads) => {
      loaded.addon.setThreads(threads);
      return evaluate(kernelBackend, run, make);
    });
    loaded.addon.setThreads(before);
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});
