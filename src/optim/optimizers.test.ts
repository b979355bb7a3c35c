import { describe, expect, it } from "vitest";
import { compile, F, GraftError, planCounters, tensor, type Tensor } from "graftml";
import { planOf } from "graftml/runtime";
import * as optim from "./index.js";

const parameter = (values: readonly number[], dtype: "f32" | "f64" | "bf16" = "f64"): Tensor => tensor([...values], { dtype, requiresGrad: true });
const values = async (x: Tensor): Promise<number[]> => [...(await x.data())];
const close = (a: readonly number[], b: readonly number[], digits = 10): void => {
  expect(a).toHaveLength(b.length);
  a.forEach((x, i) => expect(x).toBeCloseTo(b[i], digits));
};
const message = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(GraftError);
    return (error as GraftError).message;
  }
  throw new Error("nothing was thrown");
};

type Stepper = Pick<optim.Optimizer<optim.BaseOptions>, "zeroGrad" | "step" | "stateDict" | "loadStateDict">;

/** A step on sum(c p^2) / 2, whose gradient is c p. */
function lossOf(p: Tensor, c: readonly number[]): Tensor {
  return F.mul(F.sum(F.mul(F.square(p), tensor([...c], { dtype: p.dtype }))), 0.5);
}
async function steps(optimizer: Stepper, p: Tensor, c: readonly number[], count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    optimizer.zeroGrad();
    lossOf(p, c).backward();
    await optimizer.step();
  }
}

describe("optimizers without a golden file", () => {
  it("Lion: signs of the mixed momentum, decoupled decay", async () => {
    const p = parameter([1, -2]);
    await steps(new optim.Lion([p], { lr: 0.1, betas: [0.5, 0.9], weightDecay: 0.2 }), p, [1, 1], 2);
    // step 1: m = 0, p <- 0.98 p - 0.1 sign(g); m = 0.1 g. step 2: sign(0.5 m + 0.5 g)
    const [a, b] = [0.98 - 0.1, -1.96 + 0.1];
    close(await values(p), [0.98 * a - 0.1, 0.98 * b + 0.1]);
  });

  it("SGD: dampening leaves the first gradient whole; maximize goes up", async () => {
    const p = parameter([2]);
    await steps(new optim.SGD([p], { lr: 0.1, momentum: 0.5, dampening: 0.25 }), p, [1], 2);
    const first = 2 - 0.1 * 2; // buffer 2
    close(await values(p), [first - 0.1 * (0.5 * 2 + 0.75 * first)]);
    const q = parameter([2]);
    await steps(new optim.SGD([q], { lr: 0.1, maximize: true }), q, [1], 1);
    close(await values(q), [2.2]);
  });

  it("Newton-Schulz keeps singular vectors and pushes singular values towards 1", async () => {
    const x = tensor([[3, 0, 0, 1], [0, 1, 0, 2], [2, 0, 4, 0]], { dtype: "f64" });
    const y = optim.newtonSchulz(x, [3.4445, -4.775, 2.0315], 5, 1e-7);
    const gram = await values(F.matmul(y, F.transpose(y)));
    const trace = gram[0] + gram[4] + gram[8];
    expect(trace / 3).toBeGreaterThan(0.5);
    expect(trace / 3).toBeLessThan(1.4);
    // the same singular vectors: x y^T is symmetric
    const product = await values(F.matmul(x, F.transpose(y)));
    close([product[1], product[2], product[5]], [product[3], product[6], product[7]]);
    close(await values(optim.newtonSchulz(F.transpose(x), [3.4445, -4.775, 2.0315], 5, 1e-7)), await values(F.transpose(y)));
  });

  it("Muon: matrices by orthogonal momentum, the rest by AdamW", async () => {
    const [w, b] = [tensor([[1, 0], [0, 1], [0, 0]], { dtype: "f64", requiresGrad: true }), parameter([1, 1])];
    const optimizer = new optim.Muon([w, b], { lr: 0.1, weightDecay: 0, nsSteps: 1, nsCoefficients: [1, 0, 0], nesterov: false });
    F.add(F.sum(F.mul(w, 3)), F.sum(b)).backward();
    await optimizer.step();
    const direction = 1 / Math.sqrt(6); // a matrix of equal values over its norm; lr times sqrt(3 / 2) for 3 rows, 2 columns
    close(await values(w), [1, 0, 0, 1, 0, 0].map((x) => x - 0.1 * Math.sqrt(1.5) * direction));
    close(await values(b), [0.97, 0.97], 6); // the first Adam step is lr, here 0.3 * 0.1
    expect([...optimizer.stateDict().tensors.keys()]).toEqual(["0.momentum_buffer", "1.exp_avg", "1.exp_avg_sq"]);
  });

  it("decoupled and coupled decay of NAdam and RAdam differ", async () => {
    const run = async (Kind: typeof optim.NAdam | typeof optim.RAdam, decoupledWeightDecay: boolean): Promise<number> => {
      const p = parameter([1]);
      await steps(new Kind([p], { lr: 0.1, weightDecay: 0.5, decoupledWeightDecay }), p, [0], 1);
      return (await values(p))[0];
    };
    for (const Kind of [optim.NAdam, optim.RAdam] as const) expect(await run(Kind, true)).toBeCloseTo(0.95, 10);
    expect(await run(optim.RAdam, false)).toBeCloseTo(1 - 0.1 * 0.5, 10); // m / (1 - b1) = 0.5, no adaptive part yet
  });

  it("LBFGS with line search solves Rosenbrock's valley", async () => {
    const p = parameter([-1.2, 1]);
    const optimizer = new optim.LBFGS([p], { lr: 1, maxIter: 100, maxEval: 200, lineSearchFn: "strongWolfe" });
    await optimizer.step(() => {
      optimizer.zeroGrad();
      const [x, y] = F.unbind(p);
      const loss = F.add(F.square(F.sub(1, x)), F.mul(F.square(F.sub(y, F.square(x))), 100));
      loss.backward();
      return loss;
    });
    close(await values(p), [1, 1], 4);
    expect(() => message(() => optimizer.record())).not.toThrow();
  });
});

describe("Optimizer", () => {
  it("groups have options of their own; parameters without a gradient are passed over", async () => {
    const [a, b, c] = [parameter([1]), parameter([1]), parameter([1])];
    const optimizer = new optim.SGD([{ params: [a, c] }, { params: [["b", b]], lr: 0.5 }], { lr: 0.1 });
    F.sum(F.add(a, b)).backward();
    await optimizer.step();
    close([...(await values(a)), ...(await values(b)), ...(await values(c))], [0.9, 0.5, 1]);
    expect(optimizer.paramGroups[1].names).toEqual(["b"]);
    optimizer.addParamGroup({ params: [parameter([1])], momentum: 0.9 });
    expect(optimizer.paramGroups[2]).toMatchObject({ lr: 0.1, momentum: 0.9 });
  });

  it("a parameter keeps its gradient hooks", async () => {
    const p = parameter([1]);
    let calls = 0;
    const off = p.registerHook(() => void calls++);
    await steps(new optim.SGD([p], { lr: 0.1 }), p, [1], 3);
    expect(calls).toBe(3);
    off();
    await steps(new optim.SGD([p], { lr: 0.1 }), p, [1], 1);
    expect(calls).toBe(3);
  });

  it("refuses what cannot work", () => {
    const p = parameter([1]);
    expect(message(() => new optim.SGD([p], { lr: 0.1, wieghtDecay: 1 } as Partial<optim.SGDOptions>))).toContain('Did you mean "weightDecay"?');
    expect(message(() => new optim.SGD([], {}))).toContain("no parameters");
    expect(message(() => new optim.SGD([p, p], {}))).toContain("appears twice");
    expect(message(() => new optim.SGD([F.mul(p, 2)], {}))).toContain("computed by mul");
    expect(message(() => new optim.SGD([p], { nesterov: true }))).toContain("nesterov needs a momentum");
    expect(message(() => new optim.Adam([p], { betas: [0.9, 1] }))).toContain("betas[1]");
    expect(message(() => new optim.Adam([p], { lr: -1 }))).toContain("lr is -1");
    expect(message(() => new optim.Adam([{ params: [p], lrr: 1 } as never]))).toContain('unknown option "lrr"');
  });

  it.each(["Adam", "LBFGS"] as const)("%s refuses a loss in the place of a closure", async (name) => {
    await expect(new optim[name]([parameter([1])]).step(tensor(0) as never)).rejects.toThrow(`${name}: step was given a tensor, not a function. Call loss.backward()`);
  });

  it("Adam is recorded as one node and runs as one kernel that writes in place", async () => {
    for (const amsgrad of [false, true]) {
      const p = parameter([1, 2, 3]);
      const optimizer = new optim.AdamW([p], { lr: 0.1, amsgrad });
      await steps(optimizer, p, [1, 2, 3], 1);
      p.grad = tensor([1, 2, 3]);
      const { steps: kernels, arenaBytes, outputBytes } = planOf(() => optimizer.record());
      expect([kernels, arenaBytes, outputBytes]).toEqual([1, 0, 0]);
    }
  });

  it("a changing rate needs no new plan", async () => {
    const p = parameter([1, 2, 3]);
    const optimizer = new optim.AdamW([p], { lr: 0.1 });
    await steps(optimizer, p, [1, 2, 3], 3);
    const { misses } = planCounters();
    const scheduler = new optim.OneCycleLR(optimizer, { maxLr: 0.1, totalSteps: 20 });
    for (let i = 0; i < 5; i++) {
      await steps(optimizer, p, [1, 2, 3], 1);
      scheduler.step();
    }
    expect(planCounters().misses).toBe(misses);
  });

  it.each(["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "Adafactor", "Lion", "Muon"] as const)(
    "%s: a saved state goes on with the same bits",
    async (name) => {
      const Kind = optim[name] as unknown as new (params: Iterable<Tensor>, options: object) => Stepper;
      const start = [0.3, -0.7, 0.2, 0.9];
      const fresh = (): Tensor => tensor([start.slice(0, 2), start.slice(2)], { requiresGrad: true });
      const c = [1, 2];
      const [p, q] = [fresh(), fresh()];
      const options = name === "SGD" ? { momentum: 0.9 } : name === "RMSprop" ? { momentum: 0.9, centered: true } : {};
      const [one, two] = [new Kind([p], options), new Kind([q], options)];
      await steps(one, p, c, 5);
      await steps(two, q, c, 3);
      const { tensors, values: rest } = two.stateDict();
      const host = new Map(await Promise.all([...tensors].map(async ([key, t]) => [key, { dtype: t.dtype, shape: t.shape, data: (await t.data()).slice() }] as const)));
      const resumed = tensor((await q.data()).slice(), { shape: q.shape, requiresGrad: true });
      const three = new Kind([resumed], {});
      three.loadStateDict({ tensors: host, values: JSON.parse(JSON.stringify(rest)) as typeof rest });
      await steps(three, resumed, c, 2);
      expect(await values(resumed)).toEqual(await values(p));
    },
  );

  it.each(["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "Adafactor", "Lion", "Muon"] as const)(
    "%s: a compiled step is the step, with a changing rate",
    async (name) => {
      const Kind = optim[name] as unknown as new (params: Iterable<Tensor>, options: object) => optim.Optimizer<optim.BaseOptions>;
      const options = { lr: 0.1, ...(name === "SGD" || name === "RMSprop" ? { momentum: 0.9 } : {}) };
      const c = [1, 2];
      const make = (): { p: Tensor; optimizer: optim.Optimizer<optim.BaseOptions>; scheduler: optim.Scheduler } => {
        const p = tensor([[0.3, -0.7], [0.2, 0.9]], { requiresGrad: true });
        const optimizer = new Kind([p], options);
        return { p, optimizer, scheduler: new optim.ExponentialLR(optimizer, { gamma: 0.9 }) };
      };
      const [plain, traced] = [make(), make()];
      const step = compile(() => {
        traced.optimizer.zeroGrad();
        const loss = lossOf(traced.p, c);
        loss.backward();
        void traced.optimizer.step();
        return loss;
      });
      for (let i = 0; i < 8; i++) {
        await steps(plain.optimizer, plain.p, c, 1);
        plain.scheduler.step();
        await step();
        traced.scheduler.step();
      }
      expect(await values(traced.p)).toEqual(await values(plain.p));
      expect(traced.optimizer.stateDict().values).toEqual(plain.optimizer.stateDict().values);
    },
  );

  it("LBFGS: a saved state goes on with the same bits", async () => {
    const make = (p: Tensor): [optim.LBFGS, () => Promise<unknown>] => {
      const optimizer = new optim.LBFGS([p], { lr: 0.3, maxIter: 3 });
      return [optimizer, () => optimizer.step(() => {
        optimizer.zeroGrad();
        const loss = lossOf(p, [1, 5, 9]);
        loss.backward();
        return loss;
      })];
    };
    const [p, q] = [parameter([1, 2, 3]), parameter([1, 2, 3])];
    const [one, two] = [make(p), make(q)];
    await one[1]();
    await one[1]();
    await two[1]();
    const r = tensor((await q.data()).slice(), { requiresGrad: true });
    const [three, step] = make(r);
    three.loadStateDict(two[0].stateDict());
    await step();
    expect(await values(r)).toEqual(await values(p));
  });

  it("a state that does not fit is refused", async () => {
    const p = parameter([1, 2]);
    const optimizer = new optim.Adam([p]);
    await steps(optimizer, p, [1, 1], 1);
    const state = optimizer.stateDict();
    const other = new optim.Adam([parameter([1]), parameter([2])]);
    expect(message(() => other.loadStateDict(state))).toContain("group 0 has 1 parameters, the optimizer's has 2");
    const wrong = { tensors: { "0.exp_avg": tensor([1, 2, 3]), "7.exp_avg": tensor([1]) }, values: state.values };
    const text = message(() => optimizer.loadStateDict(wrong));
    expect(text).toContain('"0.exp_avg" is [3], the optimizer has [2]');
    expect(text).toContain("parameter 7");
  });

  it("a failed step changes nothing", async () => {
    const p = tensor([[1, 2]], { requiresGrad: true });
    const optimizer = new optim.Adam([p]);
    F.crossEntropy(p, tensor([5], { dtype: "i32" })).backward();
    await expect(optimizer.step()).rejects.toThrow(/out of range/);
    expect(await values(p)).toEqual([1, 2]);
    expect(optimizer.stateDict().values.state).toEqual({});
    optimizer.zeroGrad();
    F.crossEntropy(p, tensor([1], { dtype: "i32" })).backward();
    await optimizer.step();
    expect(optimizer.stateDict().values.state).toEqual({ 0: { step: 1 } });
  });

  it("bf16 parameters keep their state in f32", async () => {
    const p = parameter([1, 2], "bf16");
    const optimizer = new optim.Adam([p], { lr: 0.25 });
    await steps(optimizer, p, [1, 1], 1);
    expect(p.dtype).toBe("bf16");
    expect(optimizer.stateDict().tensors.get("0.exp_avg")!.dtype).toBe("f32");
    close(await values(F.cast(p, "f32")), [0.75, 1.75], 5);
  });
});

describe("clipping", () => {
  const withGradients = (): Tensor[] => {
    const [a, b] = [parameter([3, 0]), parameter([4])];
    F.add(lossOf(a, [1, 1]), lossOf(b, [1])).backward();
    return [a, b];
  };

  it("by norm", async () => {
    const [a, b] = withGradients();
    const norm = optim.clipGradNorm([a, b], 1);
    close(await values(norm), [5]);
    close([...(await values(a.grad!)), ...(await values(b.grad!))], [0.6, 0, 0.8], 5);
    const more = withGradients();
    optim.clipGradNorm(more, 10);
    close(await values(more[0].grad!), [3, 0]);
    close(await values(optim.gradNorm(more, { normType: Infinity })), [4]);
    close(await values(optim.gradNorm(more, { normType: 1 })), [7]);
    close(await values(optim.clipGradNorm([parameter([1])], 1)), [0]);
  });

  it("the norm is there after the step", async () => {
    const params = withGradients();
    const norm = optim.clipGradNorm(params, 1);
    await new optim.SGD(params, { lr: 1 }).step();
    expect(norm.item()).toBeCloseTo(5, 10);
    close(await values(params[1]), [4 - 0.8], 5);
  });

  it("by value", async () => {
    const [a, b] = withGradients();
    optim.clipGradValue([a, b], 3.5);
    close([...(await values(a.grad!)), ...(await values(b.grad!))], [3, 0, 3.5]);
  });
});
