import { describe, expect, it } from "vitest";
import { customGradient, F, gradcheck, grad, rand, randn, tensor } from "graftml";

describe("gradcheck", () => {
  it("accepts right gradients, also of gradients", () => {
    expect(gradcheck((x) => F.tanh(x), [randn([2, 3])])).toBeLessThan(1e-7);
    gradcheck(grad((x) => F.sum(F.mul(F.mul(x, x), x))), [randn([4])]);
    gradcheck((x, w) => F.matmul(x, w), [rand([2, 3]), rand([3, 2])]);
  });

  it("finds a wrong one and names the element", () => {
    const wrong = customGradient((x) => F.square(x), ({ grad: dy, inputs: [x] }) => [F.mul(dy, x)]);
    expect(() => gradcheck(wrong, [tensor([1, 2])])).toThrow(/input 0 \[2\] element 0: the gradient is .*central differences give/);
  });
});
