import { describe, expect, it } from "vitest";
import { F, fromData, type Tensor } from "graftml";
import { collectNodes } from "./collect.js";
import { hashWords, signature } from "./signature.js";

const x = (n = 3): Tensor => fromData(new Float32Array(n), [n], "f32");
const words = (...outputs: Tensor[]): number[] => {
  const nodes = outputs.map(({ node }) => node);
  return [...signature(collectNodes(nodes), [nodes])];
};

describe("signature", () => {
  it("is equal for equal structures on other values, and only for those", () => {
    const a = x();
    const programs = [
      () => F.add(x(), x()),
      () => F.sub(x(), x()),
      () => F.add(a, a),
      () => F.add(x(4), x(4)),
      () => F.add(x(), 1),
      () => F.add(x(), -0),
      () => F.add(x(), 0),
      () => F.add(x(), NaN),
      () => F.add(x(), Infinity),
      () => F.sum(x(), { dim: 0 }),
      () => F.sum(x(), { dim: 0, keepdim: true }),
      () => F.reshape(x(6), [2, 3]),
      () => F.reshape(x(6), [3, 2]),
      () => F.add(x(), 1).to("bf16"),
      () => F.add(x(), 1).to("f16"),
    ];
    const all = programs.map((program) => words(program()));
    programs.forEach((program, i) => expect(words(program())).toEqual(all[i]));
    expect(new Set(all.map(String)).size).toBe(programs.length);
    expect(hashWords(Int32Array.from(all[0]))).not.toBe(hashWords(Int32Array.from(all[1])));
  });

  it("tells what is wanted", () => {
    const make = (): Tensor[] => {
      const y = F.exp(x());
      return [y, F.neg(y)];
    };
    const [y, z] = make();
    expect(words(z)).not.toEqual(words(y, z));
    expect(words(y, z)).not.toEqual(words(z, y));
  });
});
