import { expect, it } from "vitest";
import { functions } from "../../bench/functions.js";
import { findPeers } from "../../bench/peer.js";
import { functionStep } from "../../bench/peers/graft/functions/index.js";
import { read, tracked } from "../house/tree.js";

const specs = functions.map((workload) => [workload.name, workload.function!] as const);

it.each(specs)("%s runs", async (_, spec) => {
  expect(await (await functionStep(spec))()).toBe(0);
});

it("only Graft and PyTorch run them, without compile", () => {
  expect(findPeers(["graft", "graft-compile", "graft-wasm"]).map((peer) => peer.runs(functions[0]))).toEqual([true, false, false]);
});

it("unknown ones are named", async () => {
  await expect(functionStep({ call: "expp", inputs: [], options: {}, grad: false })).rejects.toThrow("there is no function expp in bench/peers/graft/functions");
});

it("PyTorch's side has each of them, too", () => {
  const source = tracked.filter((path) => /^bench\/peers\/pytorch\/functions\/.*\.py$/.test(path)).map(read).join("\n");
  const declared = new Set(specs.map(([, { call }]) => call));
  const there = new Set([...source.matchAll(/^ {4}"(\w+)": /gm)].map(([, name]) => name));
  expect([...declared].filter((call) => !there.has(call))).toEqual([]);
});
