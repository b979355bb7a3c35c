import { expect, it } from "vitest";
import { ops } from "../../../graph/index.js";
import "../../../ops/index.js";
import { vocabulary } from "./write-graph.js";

/** No counterpart in ONNX, and no model needs them. */
const without = ["atan2"];

it("every op that is no gradient and has no composite definition can be written, but for what is hard to say in ONNX", () => {
  const simple = ["scalar", "movement", "reduce", "contract", "source", "gather"];
  const missing = [...ops.values()].filter(({ name, trait, composite }) => simple.includes(trait) && composite === undefined && !vocabulary.has(name)).map(({ name }) => name);
  expect(missing).toEqual(without);
});
