import { afterEach, describe, expect, it } from "vitest";
import { checkpoint, compile, F, hasNative, manualSeed, nn, optim, planCounters, profile, rand, randint, realize, useBackend, type Tensor } from "graftml";
import type { Trace } from "graftml/runtime";

const backends = hasNative() ? (["reference", "cpu"] as const) : (["reference"] as const);
afterEach(() => useBackend(undefined));

class Block extends nn.Module {
  fc = new nn.Linear(8, 8);
  norm = new nn.LayerNorm(8);
  forward(x: Tensor): Tensor {
    return F.add(x, this.fc.forward(this.norm.forward(x)));
  }
}

class Net extends nn.Module {
  blocks = new nn.ModuleList([new Block(), new Block()]);
  head = new nn.Linear(8, 3);
  forward(x: Tensor): Tensor {
    let y = x;
    for (const block of this.blocks) y = block.forward(y);
    return this.head.forward(y);
  }
}

async function setUp(): Promise<{ model: Net; step: () => Promise<Tensor> }> {
  manualSeed(0);
  const model = new Net();
  const optimizer = new optim.Adam(model.parameters());
  const [x, y] = [rand([16, 8]), randint(0, 3, [16])];
  await realize(x, y, ...model.parameters());
  const step = async (): Promise<Tensor> => {
    optimizer.zeroGrad();
    const loss = F.crossEntropy(model.forward(x), y);
    loss.backward();
    await optimizer.step();
    return loss;
  };
  return { model, step };
}

/** Rows of a trace: each a list of [start, end] in whole nanoseconds. */
function rowsOf({ traceEvents }: Trace): Map<number, (readonly [number, number])[]> {
  const rows = new Map<number, (readonly [number, number])[]>();
  for (const { ph, tid, ts = 0, dur = 0 } of traceEvents) {
    if (ph !== "X") continue;
    rows.set(tid, [...(rows.get(tid) ?? []), [Math.round(1000 * ts), Math.round(1000 * (ts + dur))]]);
  }
  return rows;
}

describe.each(backends)("profile on %s", (backend) => {
  it("names kernels by the modules that recorded them, forward and backward", async () => {
    useBackend(backend);
    const { model, step } = await setUp();
    const found = await profile(step, { model, steps: 3, warmup: 1 });
    expect([found.steps, found.warmup]).toEqual([3, 1]);
    const modules = new Map(found.modules.map((row) => [row.module, row]));
    for (const [path, type] of [["blocks.0.fc", "Linear"], ["blocks.1.norm", "LayerNorm"], ["head", "Linear"]]) {
      const row = modules.get(path)!;
      expect(row.type).toBe(type);
      expect(row.forwardMs).toBeGreaterThan(0);
      expect(row.backwardMs).toBeGreaterThan(0);
      expect(row.updateMs).toBe(0);
    }
    expect(modules.get("optimizer")!.updateMs).toBeGreaterThan(0);
    const forward = found.kernels.find(({ kernel, pass, modules: [first] }) => kernel === "matmul" && pass === "forward" && first === "blocks.0.fc")!;
    expect(forward).toMatchObject({ shape: [16, 8], calls: 6 }); // both blocks, three steps
    expect(forward.modules).toEqual(expect.arrayContaining(["blocks.0.fc", "blocks.1.fc"]) as unknown);
    expect(forward.gflops).toBeGreaterThan(0);
    expect(forward.gbs).toBeGreaterThan(0);
  });

  it("accounts for all of the time, kernels and outside", async () => {
    useBackend(backend);
    const { model, step } = await setUp();
    const found = await profile(step, { model, steps: 4, warmup: 2 });
    const total = (list: readonly { readonly share: number }[]): number => list.reduce((sum, { share }) => sum + share, 0);
    expect(total(found.kernels) + total(found.outside)).toBeCloseTo(1, 3);
    expect(total(found.modules)).toBeCloseTo(total(found.kernels), 9);
    expect(found.outside.map(({ kind }) => kind)).toEqual(["record", "plan", "loader", "wait"]);
    for (const { ms } of found.outside) expect(ms).toBeGreaterThanOrEqual(0);
    expect(found.outside[0].ms).toBeGreaterThan(0);
    expect(JSON.parse(JSON.stringify(found))).toMatchObject({ steps: 4, stepMs: { median: found.stepMs.median } });
  });

  it("gives a trace whose rows do not overlap", async () => {
    useBackend(backend);
    const { model, step } = await setUp();
    const found = await profile(step, { model, steps: 3, warmup: 0 });
    const trace = JSON.parse(JSON.stringify(found.trace())) as Trace;
    const rows = rowsOf(trace);
    expect([...rows.keys()].sort()).toEqual([0, 1, 2]);
    for (const events of rows.values()) for (let i = 1; i < events.length; i++) expect(events[i][0]).toBeGreaterThanOrEqual(events[i - 1][1]);
    expect(rows.get(0)).toHaveLength(3);
    const head = trace.traceEvents.find(({ args, cat }) => cat === "kernels" && args?.module === "head" && args.pass === "forward");
    expect(head).toMatchObject({ name: "matmul", args: { shape: "16x3", flops: expect.any(Number) as unknown, "GB/s": expect.any(Number) as unknown } });
  });

  it("names what compile() replays", async () => {
    useBackend(backend);
    const { model } = await setUp();
    const forward = compile((x) => model.forward(x));
    const x = rand([4, 8]);
    const found = await profile(() => forward(x), { model, steps: 2, warmup: 1 });
    expect(found.modules.map(({ module }) => module)).toContain("blocks.1.fc");
  });

  it("has no influence on plans", async () => {
    useBackend(backend);
    const { model, step } = await setUp();
    await step();
    await step();
    const before = planCounters();
    await profile(step, { model, steps: 2, warmup: 1 });
    await step();
    expect(planCounters()).toEqual({ hits: before.hits + 4, misses: before.misses });
    const loss = F.crossEntropy(model.forward(rand([2, 8])), randint(0, 3, [2]));
    expect(loss.node.scope).toBeUndefined(); // names are recorded in profiles only
  });
});

describe("module paths", () => {
  it("follow what a checkpoint computes again, modules without a field, and the outermost module where no model is given", async () => {
    manualSeed(0);
    const net = new Net();
    const [block] = net.blocks;
    const x = rand([4, 8]);
    await realize(x, ...net.parameters());
    const passes = async (body: () => Tensor, model?: nn.Module): Promise<string[]> => {
      const found = await profile(() => {
        const loss = F.sum(body());
        if (!loss.requiresGrad) return loss;
        loss.backward();
        const grads = net.parameters().map(({ grad }) => grad).filter((grad) => grad !== null);
        net.zeroGrad();
        return [loss, ...grads];
      }, { steps: 1, warmup: 0, model });
      return [...new Set(found.kernels.flatMap(({ modules, pass }) => modules.map((module) => `${module} ${pass}`)))];
    };
    const again = await passes(() => checkpoint((h) => block.forward(h), x), net);
    expect(again).toEqual(expect.arrayContaining(["blocks.0.fc forward", "blocks.0.norm backward"]) as unknown);
    expect(await passes(() => block.forward(x))).toEqual(expect.arrayContaining(["fc forward", "norm forward", "Block forward"]) as unknown);
    class Loose extends nn.Module {
      forward(y: Tensor): Tensor {
        return new nn.Softmax(1).forward(F.mul(y, 2));
      }
    }
    expect(await passes(() => new Loose().forward(x))).toContain("Loose.Softmax forward");
    expect(await passes(() => F.exp(x))).toEqual(["(no module) forward"]);
  });
});

describe("profile refuses", () => {
  it("numbers out of range, unknown options, and a profile in a profile", async () => {
    await expect(profile(() => undefined, { steps: 0 })).rejects.toThrow(/profile: steps is 0/);
    await expect(profile(() => undefined, { warmup: -1 })).rejects.toThrow(/profile: warmup is -1/);
    await expect(profile(() => undefined, { step: 3 } as never)).rejects.toThrow(/unknown option "step".*"steps"/);
    await expect(profile(() => profile(() => undefined))).rejects.toThrow(/another profile is under way/);
    await expect(profile(() => Promise.reject(new Error("mine")))).rejects.toThrow("mine");
    expect((await profile(() => rand([3]), { steps: 1, warmup: 0 })).steps).toBe(1); // those that failed are closed
  });
});
