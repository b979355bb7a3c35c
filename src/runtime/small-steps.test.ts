import { expect, test } from "vitest";
import { collectGarbage } from "../backend/collect.js";
import { F, nn, optim, tensor } from "../index.js";

/** Bytes of JavaScript's heap that are still reachable. */
function heapInUse(): number {
  collectGarbage(true);
  return process.memoryUsage().heapUsed;
}

test("a loop of steps so small that it never returns to the event loop does not hold on to its past", async () => {
  const model = new nn.Sequential(new nn.Linear(2, 8), new nn.Tanh(), new nn.Linear(8, 1));
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  const x = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
  const y = tensor([[0], [1], [1], [0]]);
  const steps = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      optimizer.zeroGrad();
      F.mseLoss(model.forward(x), y).backward();
      await optimizer.step();
    }
  };
  await steps(6000); // code is compiled and caches fill: some hundred KB
  const before = heapInUse();
  await steps(20_000);
  expect((heapInUse() - before) / 20_000).toBeLessThan(200); // bytes per step; a recorded step is about 8 KB
});

test("small steps let timers and messages have their turn", async () => {
  const w = tensor([1, 2, 3], { requiresGrad: true });
  const optimizer = new optim.SGD([w], { lr: 0.1 });
  let fired = false;
  setTimeout(() => (fired = true), 1);
  for (const end = performance.now() + 2000; !fired && performance.now() < end; ) {
    optimizer.zeroGrad();
    w.square().sum().backward();
    await optimizer.step();
  }
  expect(fired).toBe(true);
});
