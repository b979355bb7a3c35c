import { describe, expect, it } from "vitest";
import { parseOptions, type Options } from "../../bench/options.js";
import { groups, workloads, type Workload } from "../../bench/workloads.js";

const measured = (...args: string[]): Extract<Options, { does: "measure" }> => parseOptions(args) as Extract<Options, { does: "measure" }>;

describe("options of npm run bench", () => {
  it("measure everything but functions in five rounds of all peers when nothing is said", () => {
    const { does, workloads: chosen, peers, rounds, milliseconds } = measured();
    expect([does, chosen, rounds, milliseconds]).toEqual(["measure", workloads.filter(({ group }) => group !== "functions"), 5, 800]);
    expect(peers).toEqual(["graft", "graft-compile", "graft-wasm", "pytorch", "pytorch-compile", "tfjs-wasm", "jax-wasm"]);
  });

  it("choose workloads by a part of the name and by group, and peers by name", () => {
    expect(measured("--filter", "gpt").workloads.every(({ name }) => name.includes("gpt"))).toBe(true);
    expect(measured("--filter", "xor,norm_grad").workloads.map(({ name }) => name)).toEqual(["xor_b4", "kernel_layer_norm_grad"]);
    expect(new Set(measured("--group", "small,kernels").workloads.map(({ group }) => group))).toEqual(new Set(["small", "kernels"]));
    expect(measured("--peers", "graft,pytorch").peers).toEqual(["graft", "pytorch"]);
    expect(measured("--seconds", "6", "--rounds", "3")).toMatchObject({ milliseconds: 2000, rounds: 3 });
  });

  it("measure functions when their group or their prefix is named", () => {
    const names = (...args: string[]): string[] => measured(...args).workloads.map(({ name }) => name);
    expect(measured("--group", "functions").workloads).toEqual(workloads.filter(({ group }) => group === "functions"));
    expect(names("--filter", "fn_erf,xor")).toEqual(["xor_b4", "fn_erf", "fn_erf_grad"]);
    expect(names("--group", "functions", "--filter", "erf")).toEqual(["fn_erf", "fn_erf_grad"]);
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
    [["--filter", "gpt9"], /no workload matches --filter gpt9\. There are: cnn16_b64, .*, kernel_cross_entropy_grad; --group functions has more\.$/],
    [["--filter", "gpt9", "--group", "functions"], /There are: fn_exp, fn_exp_grad, .*, fn_clip_grad_norm\.$/],
    [["--group", "kernel"], /no "kernel"\. Did you mean "kernels"\? Use small, language, networks, kernels, functions,/],
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
  it("have names of their own, and either products or bytes to count, or are functions", () => {
    expect(new Set(workloads.map(({ name }) => name)).size).toBe(workloads.length);
    const counted = ({ flops, bytes }: Workload): boolean => (flops === undefined) !== (bytes === undefined);
    expect(workloads.filter((workload) => counted(workload) === (workload.group === "functions"))).toEqual([]);
  });
});
