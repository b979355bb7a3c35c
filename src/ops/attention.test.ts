import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkpoint, F, fromData, grad, gradcheck, manualSeed, rand, tensor, useBackend, zeros, type Shape, type Tensor } from "graftml";
import { backendNames, f64, values } from "../../test/gradients.js";

/** Attention as its formula says, one head of keys per head of queries. */
function plain(q: Tensor, k: Tensor, v: Tensor, open: Tensor | undefined, scale: number, factor?: Tensor): Tensor {
  const repeat = q.shape[1] / k.shape[1];
  const wide = (x: Tensor): Tensor => (repeat === 1 ? x : F.repeatInterleave(x, repeat, 1));
  const scores = F.matmul(q, F.transpose(wide(k))).mul(scale);
  const weights = open === undefined ? F.softmax(scores, -1) : F.where(open, F.softmax(F.where(open, scores, -1e30), -1), 0);
  return F.matmul(factor === undefined ? weights : F.mul(weights, factor), wide(v));
}

/** What dropout multiplies weights with, drawn as the first random numbers of a seed. */
function factors([B, H, T]: Shape, S: number, p: number): Tensor {
  manualSeed(5);
  return F.where(F.ge(F.narrow(rand([B, H, T, Math.ceil(S / 4) * 4]), 3, 0, S), p), 1 / (1 - p), 0);
}

const causal = (T: number, S: number): Tensor => tensor(Array.from({ length: T }, (_, t) => Array.from({ length: S }, (_, s) => (s <= t ? 1 : 0))), { dtype: "bool" });
/** Open where a formula says (in long runs in every second row), and closed for all keys of query 3. */
const patchy = (shape: Shape): Tensor => {
  const [S, T] = [shape[shape.length - 1], shape[shape.length - 2]];
  const size = shape.reduce((n, d) => n * d, 1);
  return fromData(Uint8Array.from({ length: size }, (_, i) => Number(Math.floor(i / S) % T !== 3 && (Math.floor(i / S) % 2 === 1 ? (i % S) % 29 < 17 : (i * 7 + Math.floor(i / S)) % 5 < 3))), shape, "bool");
};
/** Open where `rule` says for query t and key s; `across`: stored with the queries of a key side by side. */
const ruled = ([T, S]: Shape, rule: Rule, across = false): Tensor => {
  const stored = Uint8Array.from({ length: T * S }, (_, i) => Number(across ? rule(i % T, Math.floor(i / T)) : rule(Math.floor(i / S), i % S)));
  return across ? F.transpose(fromData(stored, [S, T], "bool")) : fromData(stored, [T, S], "bool");
};
type Rule = (t: number, s: number) => boolean;
/** Samples of 45 tokens in one row, each read causally. */
const samples: Rule = (t, s) => s <= t && Math.floor(s / 45) === Math.floor(t / 45);

interface Case {
  readonly q: Shape;
  readonly k: Shape;
  readonly D?: number;
  readonly isCausal?: boolean;
  readonly mask?: Shape;
  readonly rule?: Rule;
  readonly across?: boolean;
  readonly scale?: number;
  readonly dropoutP?: number;
}
const cases: Record<string, Case> = {
  "one tile": { q: [2, 3, 16, 8], k: [2, 3, 16, 8] },
  "ragged sizes": { q: [1, 2, 37, 13], k: [1, 2, 41, 13], D: 5 },
  "several tiles, causal": { q: [1, 1, 140, 9], k: [1, 1, 140, 9], isCausal: true },
  "causal, more keys than queries": { q: [1, 1, 9, 8], k: [1, 1, 90, 8], isCausal: true },
  "causal, more queries than keys": { q: [1, 1, 150, 8], k: [1, 1, 20, 8], isCausal: true },
  "heads that share keys": { q: [2, 4, 66, 5], k: [2, 2, 66, 5], isCausal: true },
  "a mask of its own for each batch": { q: [2, 2, 20, 8], k: [2, 2, 70, 8], mask: [2, 1, 20, 70] },
  "dropout, ragged sizes": { q: [1, 2, 37, 13], k: [1, 2, 41, 13], D: 5, dropoutP: 0.3 },
  "dropout, several tiles, causal, shared keys": { q: [1, 2, 140, 9], k: [1, 1, 142, 9], isCausal: true, dropoutP: 0.1 },
  "dropout and a mask": { q: [2, 2, 20, 8], k: [2, 2, 70, 8], mask: [2, 1, 20, 70], dropoutP: 0.5 },
  "shared keys and values of more than 256 KiB, causal": { q: [1, 2, 280, 40], k: [1, 1, 280, 40], D: 200, isCausal: true },
  "several tiles, more keys": { q: [1, 2, 140, 9], k: [1, 2, 150, 9], D: 17 },
  "a mask of keys only, several tiles": { q: [2, 2, 150, 8], k: [2, 2, 130, 8], mask: [2, 1, 1, 130] },
  "a mask of queries and keys, several tiles": { q: [1, 2, 150, 8], k: [1, 2, 150, 8], mask: [150, 150] },
  "a triangle as a mask": { q: [1, 2, 150, 8], k: [1, 2, 150, 8], rule: (t, s) => s <= t },
  "packed samples": { q: [1, 2, 300, 8], k: [1, 1, 300, 8], D: 5, rule: samples },
  "packed samples, stored the other way round": { q: [1, 1, 300, 8], k: [1, 1, 300, 8], rule: samples, across: true },
  "packed samples, shared keys and values of more than 256 KiB": { q: [1, 2, 280, 40], k: [1, 1, 280, 40], D: 200, rule: samples },
  "packed samples, dropout": { q: [1, 2, 150, 8], k: [1, 2, 150, 8], rule: samples, dropoutP: 0.2 },
  "a sliding window, dropout": { q: [1, 2, 200, 8], k: [1, 2, 200, 8], rule: (t, s) => s <= t && s > t - 30, dropoutP: 0.2 },
  "padding on both sides, ragged": { q: [1, 2, 140, 8], k: [1, 2, 213, 8], rule: (_, s) => s >= 75 && s < 206 },
  "queries that see nothing, keys that nobody sees": { q: [1, 1, 270, 8], k: [1, 1, 200, 8], rule: (t, s) => t >= 140 && t < 261 && (s < 3 || s > 150) },
  "nothing is seen": { q: [1, 1, 140, 8], k: [1, 1, 70, 8], rule: () => false },
  "a mask for all, another scale": { q: [2, 2, 20, 8], k: [2, 2, 30, 8], mask: [20, 30], scale: -0.7 },
};

describe.each(backendNames)("attention in tiles on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each(Object.entries(cases))("%s: result and gradients are those of the formula", (_, { q: shape, k: keys, D = shape[3], isCausal = false, mask, rule, across, scale, dropoutP = 0 }) => {
    const [T, S] = [shape[2], keys[2]];
    const attnMask = mask ? patchy(mask) : rule ? ruled([T, S], rule, across) : undefined;
    const options = { isCausal, dropoutP, enableGqa: shape[1] !== keys[1], ...(scale === undefined ? {} : { scale }), ...(attnMask ? { attnMask } : {}) };
    const open = attnMask ?? (isCausal ? causal(T, S) : undefined);
    const dy = values([...shape.slice(0, 3), D], 9);
    const weight = (y: Tensor): Tensor => F.sum(F.mul(y, F.cast(fromData(dy, y.shape, "f64"), y.dtype)));
    const own = (q: Tensor, k: Tensor, v: Tensor): Tensor => {
      manualSeed(5);
      return F.scaledDotProductAttention(q, k, v, options);
    };
    const factor = dropoutP > 0 ? factors(shape, S, dropoutP) : undefined;
    const other = (q: Tensor, k: Tensor, v: Tensor): Tensor => plain(q, k, v, open, scale ?? 1 / Math.sqrt(shape[3]), factor);
    const exact = [f64(shape, 1), f64(keys, 2), f64([...keys.slice(0, 3), D], 3)] as const;
    for (const [dtype, tolerance] of [["f64", 1e-12], ["f32", 2e-5]] as const) {
      const [q, k, v] = exact.map((x) => F.cast(x, dtype));
      const got = [own(q, k, v), ...(grad((...xs: [Tensor, Tensor, Tensor]) => weight(own(...xs))) as (...xs: Tensor[]) => Tensor[])(q, k, v)];
      const want = [other(...exact), ...(grad((...xs: [Tensor, Tensor, Tensor]) => weight(other(...xs))) as (...xs: Tensor[]) => Tensor[])(...exact)];
      got.forEach((x, i) => {
        expect(x.shape).toEqual(want[i].shape);
        const expected = want[i].dataSync();
        const worst = Array.from(x.dataSync()).reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at])), 0);
        expect(worst, `${dtype}, ${["y", "dq", "dk", "dv"][i]}`).toBeLessThan(tolerance);
      });
    }
  });

  it("with dropout: the same bits for a seed, others in the next step, nothing left at 1, and the second derivative", () => {
    const [q, k, v] = [1, 2, 3].map((seed) => F.cast(f64([2, 3, 150, 8], seed), "f32"));
    const drop = (dropoutP: number): Tensor => F.scaledDotProductAttention(q, k, v, { isCausal: true, dropoutP });
    const runs = [1, 1].map((seed) => {
      manualSeed(seed);
      return Array.from(drop(0.2).dataSync());
    });
    expect(runs[1]).toEqual(runs[0]);
    expect(Array.from(drop(0.2).dataSync())).not.toEqual(runs[0]);
    expect(drop(1).dataSync().every((x) => x === 0)).toBe(true);
    const x = f64([9, 4], 1);
    const f = (z: Tensor): Tensor => {
      manualSeed(2);
      return F.scaledDotProductAttention(z, x, z, { dropoutP: 0.3 });
    };
    gradcheck((z: Tensor) => (grad((y: Tensor) => F.sum(F.square(f(y)))) as (y: Tensor) => Tensor)(z), [x]);
    expect(() => F.scaledDotProductAttention(q, k, v, { dropoutP: 1.5 })).toThrow("dropoutP");
  });

  it("reads views as they are, gives [T, E] back for [T, E], and passes gradcheck twice", () => {
    const packed = f64([2, 10, 3, 2, 4], 5); // batch, time, (q, k, v), heads, width
    const [q, k, v] = [0, 1, 2].map((i) => F.transpose(F.select(packed, 2, i), 1, 2));
    const y = F.scaledDotProductAttention(q, k, v, { isCausal: true }).dataSync();
    const want = plain(q, k, v, causal(10, 10), 0.5).dataSync();
    y.forEach((value, i) => expect(Math.abs(value - want[i])).toBeLessThan(1e-12));
    const two = [f64([9, 4], 1), f64([9, 4], 2), f64([9, 4], 3)];
    const f = (...xs: Tensor[]): Tensor => F.scaledDotProductAttention(xs[0], xs[1], xs[2], { isCausal: true });
    expect(f(...two).shape).toEqual([9, 4]);
    gradcheck(f as (...xs: Tensor[]) => Tensor, two);
    gradcheck((x: Tensor) => (grad((z: Tensor) => F.sum(F.square(f(z, two[1], z)))) as (x: Tensor) => Tensor)(x), [two[0]]);
  });

  it.each([3, 9])("%i queries: leading dims of 1 are stretched, others must be equal", (T) => {
    const [q, k, v] = [f64([2, 4, T, 5], 1), f64([1, 2, 7, 5], 2), f64([2, 1, 7, 6], 3)];
    const sdpa = F.scaledDotProductAttention;
    const close = (got: Tensor, want: Tensor): void => {
      expect(got.shape).toEqual(want.shape);
      const expected = want.dataSync();
      got.dataSync().forEach((value, i) => expect(Math.abs(value - expected[i])).toBeLessThan(1e-12));
    };
    const wide = F.expand(k, [2, 2, 7, 5]);
    const values = F.expand(v, [2, 2, 7, 6]);
    close(sdpa(q, k, values, { enableGqa: true }), plain(q, wide, values, undefined, 1 / Math.sqrt(5)));
    const two = F.narrow(q, 1, 0, 2);
    close(sdpa(two, k, v, { isCausal: true }), plain(two, wide, values, causal(T, 7), 1 / Math.sqrt(5)));
    const one = F.narrow(F.narrow(q, 0, 0, 1), 1, 0, 1);
    close(sdpa(one, k, v), plain(F.expand(one, [2, 2, T, 5]), wide, values, undefined, 1 / Math.sqrt(5)));
    expect(() => sdpa(q, k, v)).toThrow("Leading dims must be equal or 1");
  });

  it("inside a checkpoint the gradients are the same", () => {
    const [q, k, v] = [f64([1, 2, 12, 4], 1), f64([1, 2, 12, 4], 2), f64([1, 2, 12, 4], 3)];
    const f = (x: Tensor): Tensor => F.square(F.transpose(F.scaledDotProductAttention(x, k, v, { isCausal: true }), 1, 2)).mul(3);
    const gradient = (g: (x: Tensor) => Tensor): ArrayLike<number> => (grad((x: Tensor) => F.sum(F.square(g(x.mul(1))))) as (x: Tensor) => Tensor)(q).dataSync();
    expect(Array.from(gradient((x) => checkpoint(f, x)))).toEqual(Array.from(gradient(f)));
  });

  it("NaN and infinite scores end in NaN, far scores do not overflow", () => {
    const q = fromData(Float32Array.from({ length: 8 * 4 }, (_, i) => (i < 4 ? 1e4 : 1)), [8, 4], "f32");
    const k = fromData(Float32Array.from({ length: 8 * 4 }, (_, i) => (Math.floor(i / 4) === 5 ? 1 : -1)), [8, 4], "f32");
    const v = fromData(Float32Array.from({ length: 8 }, (_, i) => i), [8, 1], "f32");
    expect(F.scaledDotProductAttention(q, k, v).dataSync()[0]).toBe(5);
    const broken = F.where(tensor([[1], [0], [0], [0], [0], [0], [0], [0]], { dtype: "bool" }), NaN, zeros([8, 4]));
    expect(F.scaledDotProductAttention(broken, k, v).dataSync()[0]).toBeNaN();
  });
});
