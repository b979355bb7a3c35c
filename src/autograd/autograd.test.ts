import { afterEach, describe, expect, it } from "vitest";
import { assign, checkpoint, customGradient, F, grad, gradcheck, GraftError, hasNative, manualSeed, noGrad, planCounters, rand, randn, realize, tensor, useBackend, valueAndGrad, vjp, type Tensor } from "graftml";

const backends = hasNative() ? (["reference", "cpu"] as const) : (["reference"] as const);
afterEach(() => useBackend(undefined));

const parameter = (values: number[]): Tensor => tensor(values, { requiresGrad: true });

describe.each(backends)("gradients on %s", (backend) => {
  it("backward adds up in .grad; zeroing starts again", async () => {
    useBackend(backend);
    const w = parameter([1, 2, 3]);
    F.sum(F.mul(w, w)).backward();
    expect(await w.grad!.toArray()).toEqual([2, 4, 6]);
    F.sum(w).backward();
    expect(await w.grad!.toArray()).toEqual([3, 5, 7]);
    w.grad = null;
    F.mul(w, w).backward({ gradient: tensor([1, 0, 10]) });
    expect(await w.grad!.toArray()).toEqual([2, 0, 60]);
  });

  it("a value used twice gets both gradients, a detached one none", async () => {
    useBackend(backend);
    const w = parameter([2]);
    const y = F.mul(w, 3);
    F.sum(F.add(F.mul(y, y), F.mul(y.detach(), y))).backward(); // d/dy: 2y + y(detached)
    expect(await w.grad!.toArray()).toEqual([(12 + 6) * 3]);
    expect(noGrad(() => F.mul(w, 2)).requiresGrad).toBe(false);
  });

  it("grad of grad, several arguments, vjp", async () => {
    useBackend(backend);
    const cube = (x: Tensor): Tensor => F.sum(F.mul(F.mul(x, x), x));
    expect(await grad(grad(cube))(tensor(2)).toArray()).toBe(12); // 6x
    expect(await grad(grad(grad(cube)))(tensor(2)).toArray()).toBe(6);
    const [value, gradients] = valueAndGrad((a: Tensor, b: Tensor) => F.sum(F.mul(a, b)))(tensor([1, 2]), tensor([3, 4]));
    expect(value.item()).toBe(11);
    expect(await Promise.all((gradients as Tensor[]).map((g) => g.toArray()))).toEqual([[3, 4], [1, 2]]);
    const { value: exp, pullback } = vjp((x) => F.exp(x), [tensor([0, 1])]);
    expect((await exp.toArray() as number[])[0]).toBe(1);
    expect(await pullback(tensor([2, 0]))[0].toArray()).toEqual([2, 0]);
  });

  it("hooks see and replace gradients", async () => {
    useBackend(backend);
    const w = parameter([1, 2]);
    const h = F.mul(w, 2);
    const seen: Tensor[] = [];
    const remove = h.registerHook((g) => {
      seen.push(g);
      return F.mul(g, 10);
    });
    F.sum(h).backward();
    expect(await seen[0].toArray()).toEqual([1, 1]);
    expect(await w.grad!.toArray()).toEqual([20, 20]);
    remove();
    w.grad = null;
    F.sum(h).backward();
    expect(await w.grad!.toArray()).toEqual([2, 2]);
  });

  it("custom gradients are used, also below further ops", async () => {
    useBackend(backend);
    const round = customGradient((x) => F.round(x), ({ grad: dy }) => [dy]); // straight-through
    const w = parameter([0.4, 1.6]);
    const y = F.mul(round(F.mul(w, 2)), 3);
    F.sum(y).backward();
    expect(await y.toArray()).toEqual([3, 9]);
    expect(await w.grad!.toArray()).toEqual([6, 6]);
  });

  it("checkpoint: same values and gradients, also for captured parameters and dropout", async () => {
    useBackend(backend);
    const run = async (wrap: boolean): Promise<unknown[]> => {
      manualSeed(5);
      const w = parameter([0.3, -0.2, 0.7]);
      const x = parameter([1, 2, 3]);
      const block = (h: Tensor): Tensor => F.dropout(F.tanh(F.mul(h, w)), { p: 0.5, training: true });
      const y = wrap ? checkpoint(block, x) : block(x);
      const z = wrap ? checkpoint(block, y) : block(y);
      const loss = F.sum(F.mul(z, z));
      loss.backward();
      await realize(loss, w.grad!, x.grad!);
      return [loss.item(), await w.grad!.toArray(), await x.grad!.toArray()];
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it("reading a loss before its step is correct, and the step makes it free afterwards", async () => {
    useBackend(backend);
    const w = parameter([1, 2]);
    const step = async (read: boolean): Promise<number> => {
      w.grad = null;
      const loss = F.sum(F.mul(w, w));
      if (read) expect(loss.item()).toBeCloseTo(F.sum(F.mul(w, w)).item());
      loss.backward();
      assign(w, F.sub(w, F.mul(w.grad as unknown as Tensor, 0.25)));
      await realize();
      const before = planCounters();
      const value = loss.item();
      expect(planCounters()).toEqual(before);
      return value;
    };
    expect([await step(false), await step(true), await step(false)]).toEqual([5, 1.25, 0.3125]);
  });
});

describe("mistakes", () => {
  const code = (f: () => unknown): string => {
    try {
      f();
    } catch (error) {
      return error instanceof GraftError ? `${error.code}: ${error.message}` : String(error);
    }
    return "nothing thrown";
  };

  it("are explained", async () => {
    const w = parameter([1, 2]);
    expect(code(() => F.mul(w, 2).backward())).toMatch(/gradient: backward: the tensor is \[2\], not a scalar.*\.sum\(\)/);
    expect(code(() => F.sum(tensor([1])).backward())).toMatch(/gradient: backward: .* depends on no tensor with requiresGrad/);
    expect(code(() => F.mul(w, 2).backward({ gradient: tensor([1]) }))).toMatch(/the gradient is \[1\], the tensor \[2\]/);
    expect(code(() => (F.mul(w, 2).requiresGrad = false))).toMatch(/only leaves can be switched/);
    expect(code(() => grad((x) => F.mul(x, 2))(tensor([1, 2])))).toMatch(/grad: the function returned \[2\], not a scalar/);
    expect(code(() => grad((x) => F.sum(x))(tensor([1], { dtype: "i32" })))).toMatch(/argument 0 is i32 \[1\]; only floats have gradients/);
    const old = F.mul(w, 3);
    assign(w, F.mul(w, 2));
    await realize();
    await expect(old.data()).rejects.toMatchObject({ code: "stale" });
    expect(await w.toArray()).toEqual([2, 4]);
  });

  it("a failed update leaves the parameters as they were", async () => {
    const table = tensor([[1, 2], [3, 4]], { requiresGrad: true });
    const rows = F.embedding(tensor([0, 7], { dtype: "i32" }), table);
    F.sum(rows).backward();
    assign(table, F.sub(table, table.grad as unknown as Tensor));
    await expect(realize()).rejects.toMatchObject({ code: "index" });
    expect(await table.toArray()).toEqual([[1, 2], [3, 4]]);
    assign(table, F.mul(table, 2));
    expect(await table.toArray()).toEqual([[2, 4], [6, 8]]);
  });

  it("a failed step has not touched running statistics either", async () => {
    const [mean, variance] = [tensor([0, 0]), tensor([1, 1])];
    const w = tensor([[1, 2], [3, 4]], { requiresGrad: true });
    const h = F.batchNorm(F.matmul(tensor([[1, 2], [3, 5], [2, 2]]), w), mean, variance, null, null, { training: true });
    F.crossEntropy(h, tensor([0, 9, 1], { dtype: "i32" })).backward();
    assign(w, F.sub(w, w.grad as unknown as Tensor));
    await expect(realize()).rejects.toMatchObject({ code: "index" });
    expect([await mean.toArray(), await variance.toArray(), await w.toArray()]).toEqual([[0, 0], [1, 1], [[1, 2], [3, 4]]]);
  });

  it("second derivatives agree with central differences through hand-fused ops", () => {
    manualSeed(1);
    gradcheck(grad((x) => F.sum(F.mul(F.softmax(x, -1), tensor([[0.1, -0.4, 2]])))), [randn([2, 3])]);
    gradcheck(grad((x) => F.sum(F.square(F.layerNorm(x, tensor([1, 2, 3, 4]), tensor([0, 1, 0, 1]))))), [rand([2, 4])]);
  });
});
