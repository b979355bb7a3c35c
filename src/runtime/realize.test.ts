import { describe, expect, it } from "vitest";
import { nn, randn, realize, realizeSync, type Tensor } from "graftml";

describe("realize", () => {
  it("says what was given in place of a tensor", async () => {
    const wrong = (...given: readonly unknown[]): Promise<unknown> => realize(...(given as Tensor[])).catch((error: unknown) => error);
    const [a, b] = [randn([2]), randn([2])];
    expect(await wrong([a, b])).toMatchObject({ code: "argument", message: "realize: argument 1 is an array. Spread it: realize(...tensors)." });
    expect(await wrong(a, undefined)).toMatchObject({ code: "argument", message: "realize: argument 2 is undefined, not a Tensor." });
    expect(await wrong(new nn.Linear(2, 2))).toMatchObject({ code: "argument", message: "realize: argument 1 is a Linear. Spread its tensors: realize(...module.parameters())." });
    expect(() => realizeSync(...([[a]] as unknown as Tensor[]))).toThrow("realizeSync: argument 1 is an array. Spread it: realizeSync(...tensors).");
    expect(await wrong(Promise.resolve(a))).toMatchObject({ code: "argument", message: "realize: argument 1 is a Promise. Is an await missing?" });
    await realize(a, b);
  });
});
