import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, grad, gradcheck, tensor, useBackend, type Tensor } from "graftml";
import { backendNames } from "../../test/gradients.js";

type Fn = (x: Tensor) => Tensor;
const derivative = (f: Fn): Fn => grad((x: Tensor) => f(x).sum());
const tanhForm: Fn = (x) => F.gelu(x, { approximate: "tanh" });
/** The same functions from other ops, as they are defined. */
const defined: Record<string, readonly [Fn, Fn]> = {
  silu: [F.silu, (x) => F.mul(x, F.sigmoid(x))],
  gelu: [F.gelu, (x) => F.mul(F.mul(x, 0.5), F.add(F.erf(F.mul(x, Math.SQRT1_2)), 1))],
  "gelu, tanh form": [
    tanhForm,
    (x) => F.mul(F.mul(x, 0.5), F.add(F.tanh(F.mul(F.add(x, F.mul(F.pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI))), 1)),
  ],
};

describe.each(backendNames)("gated activations on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each(Object.entries(defined))("%s: values, first and second derivatives are those of its definition", (_, [own, other]) => {
    for (const [dtype, tolerance] of [["f64", 1e-13], ["f32", 2e-6]] as const) {
      const points = Float64Array.from({ length: 203 }, (_, i) => (i - 101) / 12 + 0.003);
      const x = fromData(dtype === "f64" ? points : Float32Array.from(points), [203], dtype);
      const exact = fromData(points.slice(), [203], "f64");
      const pairs = [
        [own(x), other(exact)],
        [derivative(own)(x), derivative(other)(exact)],
        [derivative(derivative(own))(x), derivative(derivative(other))(exact)],
      ];
      for (const [got, expected] of pairs) {
        const [a, b] = [got.dataSync(), expected.dataSync()];
        a.forEach((value, i) => expect(Math.abs(value - b[i]), `x = ${points[i]}`).toBeLessThan(tolerance * (1 + Math.abs(points[i]))));
      }
    }
  });

  it.each(Object.entries(defined))("%s: gradcheck, also of the gradient", (_, [own]) => {
    const x = tensor([-4, -1.3, -0.2, 0, 0.4, 1.7, 3.9]);
    gradcheck(own, [x]);
    gradcheck(derivative(own), [x]);
  });

  it.each(Object.entries(defined))("%s: far from 0 it is 0 or x, with slope 0 or 1; NaN stays", (_, [own]) => {
    const x = fromData(Float32Array.of(-1e4, -200, 200, 1e4, NaN), [5], "f32");
    const [y, slope] = [own(x), derivative(own)(x)];
    [0, 0, 200, 1e4].forEach((want, i) => expect(Math.abs(y.dataSync()[i] - want)).toBe(0));
    [0, 0, 1, 1].forEach((want, i) => expect(Math.abs(slope.dataSync()[i] - want)).toBe(0));
    expect(y.dataSync()[4]).toBeNaN();
    expect(slope.dataSync()[4]).toBeNaN();
  });
});
