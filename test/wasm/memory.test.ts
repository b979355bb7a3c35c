import { F, fromData, hasWasm, optim, nn, realize, tensor, useBackend, zeros } from "graftml";
import { currentBackend } from "graftml/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

describe.skipIf(!hasWasm())("memory of the kernels in WebAssembly", () => {
  beforeAll(() => useBackend("wasm"));
  afterAll(() => useBackend(undefined));

  it("results that nobody holds any more give their memory back, though the garbage collector sees small views only", async () => {
    const x = tensor(new Float32Array(1 << 22).fill(1));
    let y = x;
    for (let i = 0; i < 320; i++) await realize((y = F.add(x, i))); // 16 MiB each: 5 GiB in all, and WebAssembly has 4
    expect((await y.data())[12345]).toBe(320);
    expect(currentBackend().memoryLimit).toBeGreaterThan(3 * 2 ** 30);
  });

  it("values given out are copies on the JavaScript heap", async () => {
    const y = F.mul(tensor(new Float32Array(1 << 15).fill(3)), 2);
    const values = await y.data();
    expect(values.buffer).toBeInstanceOf(ArrayBuffer);
    values.fill(0);
    expect((await y.data())[7]).toBe(6);
  });

  it("weights move in once; the array that they came from stays as it was", async () => {
    const array = new Float32Array(1 << 15).fill(1);
    const model = new nn.Linear(128, 256, { bias: false });
    model.weight.node.value = array;
    const optimizer = new optim.SGD(model.parameters(), { lr: 1 });
    for (let step = 0; step < 3; step++) {
      optimizer.zeroGrad();
      F.sum(model.forward(fromData(new Float32Array(128).fill(0.5), [1, 128], "f32"))).backward();
      await optimizer.step();
    }
    expect((await model.weight.data()).every((w) => w === -0.5)).toBe(true);
    expect(array.every((w) => w === 1)).toBe(true);
  });

  it("a plan that 4 GiB cannot hold is an error before it runs", async () => {
    await expect(realize(zeros([40_000, 40_000]))).rejects.toMatchObject({ code: "memory", message: expect.stringMatching(/^step: needs 6\.0 GiB at its peak, [23]\.\d GiB are available/) as unknown });
  });
});
