import { afterEach, describe, expect, it } from "vitest";
import { eye, checkpoint, defineOp, F, grad, gradcheck, GraftError, hasNative, manualSeed, rand, realize, tensor, useBackend, zeros, type Tensor } from "graftml";
import { recordMany } from "graftml/graph";
import { recurrent } from "graftml/ops";
import { planOf } from "graftml/runtime";

const backends = hasNative() ? (["reference", "cpu"] as const) : (["reference"] as const);
afterEach(() => useBackend(undefined));

/** [x, y] -> [x^2 y, sin(x), x]: known by its definition only. */
const known = defineOp({
  name: "testComposite",
  trait: "opaque",
  infer: ([x]) => [x, x, x],
  composite: ([x, y]) => [F.mul(F.square(x), y), F.sin(x), x],
});
/** Without a rule, and without a definition. */
const blind = defineOp({ name: "testBlind", trait: "opaque", infer: ([x]) => x, evaluate: ([x], _, [out]) => out.data.set(x.data) });
const first = (x: Tensor, y: Tensor): Tensor => recordMany(known, [x, y])[0];

describe.each(backends)("gradients of composite definitions on %s", (backend) => {
  it("are those of the definition, of any order, for the inputs that want one", () => {
    useBackend(backend);
    const inputs = [rand([2, 3]), rand([2, 3])];
    gradcheck((x, y) => first(x, y), inputs);
    gradcheck((x, y) => F.add(recordMany(known, [x, y])[1], recordMany(known, [x, y])[2]), inputs);
    gradcheck((x, y) => grad((a) => F.sum(F.mul(first(a, y), first(a, y))))(x), inputs);
    gradcheck((x, y) => grad((b) => F.sum(grad((a) => F.sum(F.mul(first(a, b), F.sin(a))))(x)))(y), inputs);
    const [w, x] = [tensor([3], { requiresGrad: true }), tensor([2])];
    first(x, w).backward();
    expect([w.grad!.dataSync(), x.grad]).toEqual([new Float32Array([4]), null]);
  });

  it("of an input that nothing depends on are 0, and an op without rule or definition says so", () => {
    useBackend(backend);
    const w = tensor([3], { requiresGrad: true });
    recordMany(known, [tensor([2]), w])[1].backward();
    expect(w.grad!.dataSync()).toEqual(new Float32Array([0]));
    expect(recordMany(blind, [w])[0].requiresGrad).toBe(false);
    expect(() => recordMany(blind, [w])[0].backward()).toThrow(GraftError);
  });

  it("keep apart what a checkpoint computes again, also in the op whose inputs are the checkpoint's own", async () => {
    useBackend(backend);
    manualSeed(1);
    const [x, zero, identity] = [rand([6, 3, 4]), zeros([3, 4]), eye(4)];
    const weight = tensor(rand([4, 4]).dataSync(), { shape: [4, 4], requiresGrad: true });
    await realize(x, zero, identity);
    const run = (wrap: boolean): Tensor[] => {
      weight.grad = null;
      const forward = (input: Tensor): Tensor => recurrent("tanh", input, { input: identity, state: weight }, [zero]).output;
      F.sum(F.square(wrap ? checkpoint(forward, x) : forward(x))).backward();
      return [weight.grad!];
    };
    const products = 5 * 2 * 3 * 4 * 4; // of the steps whose state is not 0
    expect(planOf(() => run(true)).flops).toBeGreaterThan(planOf(() => run(false)).flops + products); // the forward pass runs twice
    const [plain, again] = [run(false), run(true)];
    expect(again.map((g) => g.dataSync())).toEqual(plain.map((g) => g.dataSync()));
  });
});
