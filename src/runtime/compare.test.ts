import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineOp, F, hasNative, optim, rand, realizeSync, tensor, useBackend } from "graftml";
import { record } from "graftml/graph";

describe.runIf(hasNative())("GRAFT_COMPARE=reference", () => {
  const before = process.env.GRAFT_COMPARE;
  beforeAll(() => {
    useBackend("cpu");
    process.env.GRAFT_COMPARE = "reference";
  });
  afterAll(() => {
    if (before === undefined) delete process.env.GRAFT_COMPARE;
    else process.env.GRAFT_COMPARE = before;
    useBackend(undefined);
  });

  it("passes a step that overwrites weights, and still sees a result that is wrong", async () => {
    const w = tensor(rand([64, 64]).dataSync(), { shape: [64, 64], requiresGrad: true });
    const optimizer = new optim.Adam([w]);
    F.sum(F.square(F.matmul(w, w))).backward();
    await optimizer.step();
    const wrong = defineOp({
      name: "testWrong",
      trait: "scalar",
      opcode: "exp",
      infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
      evaluate: ([x], _, [out]) => void out.data.forEach((__, i) => (out.data[i] = Math.exp(x.data[i]) + 1)),
    });
    expect(() => realizeSync(record(wrong, [w]))).toThrow(/GRAFT_COMPARE: testWrong \[64, 64\] differs/);
  });

  it("measures a result by the coarsest arithmetic that led to it, not by its own dtype", () => {
    const x = rand([64, 48]);
    realizeSync(x);
    realizeSync(F.cast(F.exp(F.matmul(x, F.transpose(x)).div(50)), "f64")); // digits of f32 in an f64
    realizeSync(F.cast(F.cast(F.exp(x), "bf16"), "f32"));
    realizeSync(F.cast(tensor([1, 2, 3], { dtype: "bf16" }), "f64").div(3)); // given values are exact
  });
});
