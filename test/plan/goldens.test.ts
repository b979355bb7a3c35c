import { describe, expect, it } from "vitest";
import { assign, checkpoint, F, fromData, nn, ones, rand, tensor, type Shape, type Tensor } from "graftml";
import { collectNodes, compileGraph, printPlan } from "graftml/plan";
import { clearPending, pendingAssigns } from "graftml/ops";

const input = (...shape: Shape): Tensor => fromData(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape, "f32");
const parameter = (...shape: Shape): Tensor => {
  const x = input(...shape);
  x.requiresGrad = true;
  return x;
};
const sgd = (...params: Tensor[]): void => params.forEach((p) => assign(p, F.sub(p, F.mul(p.grad as Tensor, 0.1))));

/** Programs whose plans are read in review when they change. Each returns what is to be read; assignments are taken along. */
const programs: Record<string, () => Tensor[]> = {
  "linear relu": () => [F.relu(F.linear(input(8, 4), input(16, 4), input(16)))],
  "linear step": () => {
    const [w, b] = [parameter(3, 5), parameter(3)];
    F.mseLoss(F.linear(input(7, 5), w, b), input(7, 3)).backward();
    sgd(w, b);
    return [];
  },
  "batched product against one matrix": () => [F.add(F.matmul(input(2, 6, 4), input(4, 3)), input(2, 6, 3))],
  "chain of element-wise ops": () => [F.mul(F.tanh(F.add(F.mul(input(4, 4), 2), input(4))), input(4, 1))],
  "variance": () => [F.var(input(4, 9), { dim: 1 })],
  "transposed result": () => [F.relu(input(3, 5)).transpose(0, 1)],
  "equal computations are done once": () => [F.add(F.exp(tensor([1, 2])), F.exp(tensor([1, 2]))), ...[input(2)].flatMap((x) => [F.mul(F.exp(x), F.exp(x))])],
  "constants fold": () => [F.add(F.mul(input(3), F.mul(ones([]).mul(0).add(1), 1)), F.sum(ones([5])))],
  "two results of one map": () => {
    const x = F.exp(input(6));
    return [x, F.add(x, 1)];
  },
  "swap": () => {
    const [a, b] = [input(4), input(4)];
    const before = F.mul(a, 1.5);
    assign(a, F.mul(b, 2));
    assign(b, before);
    return [];
  },
  "running mean": () => {
    const mean = input(4);
    assign(mean, F.add(F.mul(mean, 0.9), F.mul(F.mean(input(8, 4), { dim: 0 }), 0.1)));
    return [];
  },
  "storage rounds": () => [F.add(F.mul(input(4), 3).to("bf16").to("f32"), 1)],
  "dropout": () => [F.dropout(input(4, 4), { p: 0.5, training: true })],
  "checkpointed block": () => {
    const w = parameter(4, 4);
    const x = checkpoint((h) => F.tanh(F.matmul(h, w)), input(2, 4));
    F.sum(F.mul(x, x)).backward();
    sgd(w);
    return [];
  },
  "small convolutional step": () => {
    const model = new nn.Sequential(new nn.Conv2d(1, 2, { kernelSize: 3, padding: 1 }), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Flatten(), new nn.Linear(8, 3));
    const params = model.parameters().map((p) => parameter(...p.shape));
    let h = F.relu(F.conv2d(input(2, 1, 4, 4), params[0], params[1], { padding: 1 }));
    h = F.maxPool2d(h, { kernelSize: 2 }).flatten(1);
    F.crossEntropy(F.linear(h, params[2], params[3]), fromData(new Int32Array(2), [2], "i32")).backward();
    sgd(...params);
    return [];
  },
  "random numbers": () => [F.add(rand([3]), rand([3]))],
};

describe("plans", () => {
  for (const [name, program] of Object.entries(programs)) {
    it(name, async () => {
      clearPending();
      const outputs = program().map((x) => x.node);
      const assignments = [...pendingAssigns()].map((x) => x.node);
      clearPending();
      const nodes = collectNodes([...outputs, ...assignments]);
      const goal = { outputs, assignments };
      const plan = compileGraph(nodes, goal, { fuse: true, planMemory: true, careful: false, supports: (op, inputs, attrs, outs) => op.kernel?.(inputs, attrs, outs) !== undefined });
      await expect(`${printPlan(plan)}\n`).toMatchFileSnapshot(`goldens/${name.replaceAll(" ", "-")}.txt`);
    });
  }
});
