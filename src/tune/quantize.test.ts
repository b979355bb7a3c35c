import { afterEach, describe, expect, it } from "vitest";
import { F, fromData, hasNative, manualSeed, nn, optim, randn, tensor, tune, useBackend } from "graftml";
import { codeBook, type QuantType } from "./code-books.js";

afterEach(() => useBackend(undefined));

/** Inverse of the normal distribution function by halving; the error function as its series. */
function quantile(p: number): number {
  const cdf = (x: number): number => {
    let [term, sum] = [x, x];
    for (let k = 1; k < 200; k++) sum += (term *= (-x * x) / (2 * k)) / (2 * k + 1);
    return 0.5 + sum / Math.sqrt(2 * Math.PI);
  };
  let [low, high] = [-6, 6];
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (cdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

describe("code books", () => {
  it("nf4 is what the formula of QLoRA gives", () => {
    const offset = 1 - (1 / 30 + 1 / 32) / 2;
    const side = (steps: number): number[] => Array.from({ length: steps }, (_, i) => quantile(offset + ((0.5 - offset) * i) / steps));
    const values = [...side(8), 0, ...side(7).map((x) => -x)].sort((a, b) => a - b).map((x) => x / quantile(offset));
    codeBook("nf4").values.forEach((value, i) => expect(value).toBeCloseTo(values[i], 6));
  });

  it.each(["nf4", "int4", "int8"] as const)("%s: the nearest value is found", (type) => {
    const { values, nearest } = codeBook(type);
    for (let x = -1.2; x < 1.2; x += 0.0037) {
      const best = Math.min(...values.map((value) => Math.abs(value - x)));
      expect(Math.abs(values[nearest(x)] - x)).toBeCloseTo(best, 6);
    }
    expect(values[nearest(0)]).toBe(0);
  });
});

/** Half of the widest gap of a book. */
const halfGap: Readonly<Record<QuantType, number>> = { nf4: (1 - 0.6961928) / 2, int4: 1 / 14, int8: 1 / 254 };

describe.each(["nf4", "int4", "int8"] as const)("quantize to %s", (type) => {
  it.each([false, true])("keeps every weight within the bound, two levels %s", async (doubleQuant) => {
    manualSeed(3);
    const weight = randn([96, 100]);
    const matrix = tune.quantize(weight, { type, doubleQuant });
    const [w, back] = [await weight.data(), await F.dequantize(matrix).data()];
    for (let block = 0; block < w.length / 64; block++) {
      const part = w.slice(block * 64, block * 64 + 64);
      const scale = Math.max(...part.map(Math.abs));
      const rounding = doubleQuant ? 0.02 * scale : 0; // of the scale
      part.forEach((value, i) => expect(Math.abs(value - back[block * 64 + i])).toBeLessThanOrEqual(halfGap[type] * (scale + rounding) + rounding + 1e-6));
    }
  });

  it("a block of zeros stays zero, the largest value of a block is exact", async () => {
    const values = new Float32Array(256);
    values[70] = -3;
    const back = await F.dequantize(tune.quantize(fromData(values, [4, 64], "f32"), { type, doubleQuant: false })).data();
    expect(Array.from(back)).toEqual(Array.from(values));
  });
});

it("takes the promised bits per weight", () => {
  const weight = randn([512, 768]);
  const bits = (options: tune.QuantizeOptions): number => (8 * tune.quantBytes(tune.quantize(weight, options))) / weight.size;
  expect(bits({ type: "nf4" })).toBeLessThan(4.13);
  expect(bits({ type: "nf4", doubleQuant: false })).toBe(4.5 + 32 / weight.size);
  expect(bits({ type: "int4" })).toBeLessThan(4.13);
  expect(bits({ type: "int8" })).toBeLessThan(8.13);
});

it("refuses what cannot be stored", () => {
  expect(() => tune.quantize(tensor([[1, NaN]]))).toThrow(/has NaN as value 1/);
  expect(() => tune.quantize(tensor([1, 2]))).toThrow(/Only a matrix of floats/);
  expect(() => tune.quantize(tensor([[1, 2]]), { blockSize: 48 })).toThrow(/power of two/);
  expect(() => tune.quantize(tensor([[1, 2]]), { type: "nf5" as QuantType })).toThrow(/Did you mean "nf4"/);
});

describe.each(hasNative() ? (["cpu"] as const) : (["reference"] as const))("QLoRA on %s", (backend) => {
  const make = (): nn.Sequential => new nn.Sequential(new nn.Linear(24, 64), new nn.GELU(), new nn.TransposedLinear(64, 64), new nn.GELU(), new nn.Linear(64, 3));

  it.each([{ type: "nf4" }, { bits: 8 }, { type: "int4", doubleQuant: false }, { type: "nf4", dora: true }] as const)("learns with a frozen base: %o", async (how) => {
    useBackend(backend);
    manualSeed(5);
    const model = make();
    const x = randn([32, 24]);
    const labels = tensor(Int32Array.from({ length: 32 }, (_, i) => i % 3));
    const before = await model.forward(x).toArray();
    const summary = tune.qlora(model, { r: 4, alpha: 8, ...how });
    expect(summary.modules).toEqual(["0", "2", "4"]);
    expect(summary.parameters).toBe(24 * 64 + 64 + 64 * 64 + 64 + 64 * 3 + 3 + summary.trainable);
    const quantised = (model.get("2.base_layer") as tune.QuantLinear).matrix;
    const codes = await quantised.codes.data();
    const near = (await model.forward(x).toArray()) as number[][];
    expect(Math.abs(near[0][0] - (before as number[][])[0][0])).toBeLessThan(0.3);
    const optimizer = new optim.AdamW(model.parameters(), { lr: 0.005 });
    const losses: number[] = [];
    for (let i = 0; i < 60; i++) {
      optimizer.zeroGrad();
      const loss = F.crossEntropy(model.forward(x), labels);
      loss.backward();
      await optimizer.step();
      losses.push(loss.item());
    }
    expect(losses[59]).toBeLessThan(0.5 * losses[0]);
    expect(await (model.get("2.base_layer") as tune.QuantLinear).codes.data()).toEqual(codes);

    const tuned = (await model.forward(x).toArray()) as number[][];
    await tune.mergeAndUnload(model);
    expect([...model.children().values()].map((layer) => layer.constructor.name)).toEqual(["Linear", "GELU", "TransposedLinear", "GELU", "Linear"]);
    const merged = (await model.forward(x).toArray()) as number[][];
    merged.forEach((row, i) => row.forEach((value, j) => expect(value).toBeCloseTo(tuned[i][j], 4)));
  });

  it("is smaller: measured bytes of weights, gradients and state", () => {
    useBackend(backend);
    const big = (): nn.Sequential => new nn.Sequential(...Array.from({ length: 4 }, () => new nn.Linear(256, 256, { bias: false })));
    const [full, lora, qlora] = [big(), big(), big()];
    tune.lora(lora, { r: 4 });
    tune.qlora(qlora, { r: 4 });
    const values = 4 * 256 * 256;
    const adapters = 4 * 2 * 4 * 256;
    expect(tune.memory(full, "adamw")).toMatchObject({ weights: 4 * values, gradients: 4 * values, optimizer: 8 * values, total: 16 * values });
    expect(tune.memory(lora, "adamw")).toMatchObject({ weights: 4 * (values + adapters), gradients: 4 * adapters, optimizer: 8 * adapters });
    const { weights } = tune.memory(qlora, "adamw");
    expect((8 * (weights - 4 * adapters)) / values).toBeLessThan(4.5);
    expect(String(tune.memory(full, "sgd"))).toBe("2.0 MiB: weights 1.0 MiB, gradients 1.0 MiB, optimizer 0.0 MiB");
  });

  it("tells when settings make no sense, before anything is changed", () => {
    useBackend(backend);
    const model = make();
    expect(() => tune.qlora(model, { targetModules: ["q_proj"] })).toThrow(/no linear layer is called "q_proj"/);
    expect(() => tune.qlora(model, { bits: 8, type: "nf4" })).toThrow(/bits is 8, but nf4 has 4/);
    expect(model.get("0")).toBeInstanceOf(nn.Linear);
    tune.lora(model);
    expect(() => tune.quantizeModel(model)).toThrow(/0 carries an adapter/);
  });
});
