import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasNative, useBackend } from "graftml";
import { readGolden, type OpCase } from "./cases.js";
import { differences } from "./run.js";

// About a thousand calls beyond the golden set: kinks, NaN and infinities, scalars, empty tensors, all options (scripts/golden/extra_ops.py).
const { json, tensors } = await readGolden<{ cases: readonly OpCase[] }>("extra/ops");

/** The cases of one function after the other, so that a failure names the function. */
const byCall = new Map<string, OpCase[]>();
for (const test of json.cases) byCall.set(test.call, [...(byCall.get(test.call) ?? []), test]);

describe.each(["reference", "cpu"] as const)("further PyTorch cases on the %s backend", (backend) => {
  beforeAll(() => {
    if (backend === "reference" || hasNative()) useBackend(backend);
  });
  afterAll(() => useBackend(undefined));

  describe.skipIf(backend === "cpu" && !hasNative()).each(["f32", "f64"] as const)("%s (cpu: needs the native addon)", (dtype) => {
    it.each([...byCall])("%s", async (_, cases) => {
      const problems: string[] = [];
      for (const test of cases) problems.push(...(await differences(test, tensors, dtype)));
      expect(problems).toEqual([]);
    });
  });
});
