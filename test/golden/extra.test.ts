import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useBackend } from "graftml";
import { hasBackend, suiteBackends } from "../backends.js";
import { readGolden, type OpCase } from "./cases.js";
import { differences } from "./run.js";

// About a thousand calls beyond the golden set: kinks, NaN and infinities, scalars, empty tensors, all options (scripts/golden/extra_ops.py).
const { json, tensors } = await readGolden<{ cases: readonly OpCase[] }>("extra/ops");

/** The cases of one function after the other, so that a failure names the function. */
const byCall = new Map<string, OpCase[]>();
for (const test of json.cases) byCall.set(test.call, [...(byCall.get(test.call) ?? []), test]);

describe.each(suiteBackends)("further PyTorch cases on the %s backend", (backend) => {
  beforeAll(() => {
    if (hasBackend(backend)) useBackend(backend);
  });
  afterAll(() => useBackend(undefined));

  describe.skipIf(!hasBackend(backend)).each(["f32", "f64"] as const)("%s (where this machine has the backend)", (dtype) => {
    it.each([...byCall])("%s", async (_, cases) => {
      const problems: string[] = [];
      for (const test of cases) problems.push(...(await differences(test, tensors, dtype)));
      expect(problems).toEqual([]);
    });
  });
});
