import { describe, expect, it } from "vitest";
import { parseOptions, type Options } from "../../bench/options.js";
import { groups, workloads } from "../../bench/workloads.js";

const measured = (...args: string[]): Extract<Options, { does: "measure" }> => parseOptions(args) as Extract<Options, { does: "measure" }>;

describe("options of npm run bench", () => {
  it("measure everything in five rounds of all peers when nothing is said", () => {
    const { does, workloads: chosen, peers, rounds, milliseconds } = measured();
    expect([does, chosen, rounds, milliseconds]).toEqual(["measure", workloads, 5, 800]);
    expect(peers).toEqual(["graft", "graft-compile", "graft-wasm", "pytorch", "pytorch-compile", "tfjs-wasm", "jax-wasm"]);
  });

  it("choose workloads by a part of the name and by group, and peers by name", () => {
    expect(measured("--filter", "gpt").workloads.every(({ name }) => name.includes("gpt"))).toBe(true);
    expect(measured("--filter", "xor,norm_grad").workloads.map(({ name }) => name)).toEqual(["xor_b4", "kernel_layer_norm_grad"]);
    expect(new Set(measured("--group", "small,kernels").workloads.map(({ group }) => group))).toEqual(new Set(["small", "kernels"]));
    expect(measured("--peers", "graft,pytorch").peers).toEqual(["graft", "pytorch"]);
    expect(measured("--seconds", "6", "--rounds", "3")).toMatchObject({ milliseconds: 2000, rounds: 3 });
  });

  it("read the other commands", () => {
    expect(parseOptions(["-h"])).toEqual({ does: "help" });
    expect(parseOptions(["--compare", "a.json", "b.json"])).toEqual({ does: "compare", files: ["a.json", "b.json"] });
    expect(parseOptions(["--from", "a.json", "--markdown", "page.md"])).toEqual({ does: "render", from: "a.json", groups, markdown: "page.md" });
  });

  it.each([
    [["--filtre", "gpt"], /no --filtre\. Did you mean "filter"\?/],
    [["--filter"], /--filter/],
    [["gpt"], /gpt is no option/],
    [["--filter", "gpt9"], /no workload matches --filter gpt9\. There are: cnn16_b64, /],
    [["--group", "kernel"], /no "kernel"\. Did you mean "kernels"\? Use small, language, networks, kernels/],
    [["--peers", "graft,torch"], /no "torch"/],
    [["--rounds", "0"], /--rounds 0: give a whole number above 0/],
    [["--rounds", "1.5"], /--rounds 1\.5/],
    [["--seconds", "long"], /--seconds long: give a number above 0/],
    [["--seconds", "-1"], /--seconds/],
    [["--compare", "a.json"], /--compare takes two files/],
    [["--from", "a.json", "--peers", "graft"], /--peers has no meaning beside it/],
  ])("say what is wrong with %j", (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe("workloads", () => {
  it("have names of their own, and either products or bytes to count", () => {
    expect(new Set(workloads.map(({ name }) => name)).size).toBe(workloads.length);
    expect(workloads.filter(({ flops, bytes }) => (flops === undefined) === (bytes === undefined))).toEqual([]);
  });
});
