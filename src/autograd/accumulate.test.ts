import { describe, expect, it } from "vitest";
import { F, grad, tensor, type Tensor } from "graftml";

const gradientOf = async (f: (x: Tensor) => Tensor, x: Tensor): Promise<{ values: number[]; ops: Set<string> }> => {
  const g = grad(f)(x);
  const ops = new Set<string>();
  const stack = [g.node];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    ops.add(node.op.name);
    stack.push(...node.inputs);
  }
  return { values: [...(await g.data())], ops };
};

describe("gradients of slices", () => {
  const x = tensor([1, 2, 3, 4, 5, 6], { requiresGrad: true });

  it("that do not overlap are put side by side, with zeros in gaps", async () => {
    const { values, ops } = await gradientOf((t) => F.sum(F.mul(F.square(F.narrow(t, 0, 4, 1)), F.narrow(t, 0, 1, 2))), x);
    expect(values).toEqual([0, 25, 25, 0, 2 * 5 * (2 + 3), 0]);
    expect(ops).toContain("cat");
    expect(ops).not.toContain("pad");
  });

  it("that overlap are added", async () => {
    const { values } = await gradientOf((t) => F.sum(F.add(F.narrow(t, 0, 0, 4), F.mul(F.narrow(t, 0, 2, 4), 10))), x);
    expect(values).toEqual([1, 1, 11, 11, 10, 10]);
  });

  it("along several dims, beside other gradients", async () => {
    const m = tensor([[1, 2], [3, 4]], { requiresGrad: true });
    const f = (t: Tensor): Tensor => {
      const [[a, b], [c, d]] = [F.unbind(t, 0), F.unbind(t, 1)];
      return F.sum(F.add(F.add(F.mul(a, b), F.mul(c, F.mul(d, 10))), F.sum(t, { dim: 0 })));
    };
    // rows: [3, 4], [1, 2]; columns times 10: [20, 10], [40, 30]; the sum: 1 each
    expect((await gradientOf(f, m)).values).toEqual([3 + 20 + 1, 4 + 10 + 1, 1 + 40 + 1, 2 + 30 + 1]);
  });
});
