import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasNative, hasWasm } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, runProgram, type Result } from "./child.js";

interface Trained {
  readonly backend: string;
  readonly description: string;
  readonly losses: readonly number[];
  readonly weights: readonly number[];
  readonly bits: string;
}

async function train(flags: Readonly<Record<string, string>> = {}): Promise<Trained> {
  const { out, err, status } = await runProgram("training", flags);
  expect(`${status} ${err}`, JSON.stringify(flags)).toBe("0 ");
  return JSON.parse(out) as Trained;
}

/** Equal but for the order of sums in f32, carried through five AdamW steps. */
function expectClose(a: Trained, b: Trained): void {
  a.losses.forEach((loss, i) => expect(Math.abs(loss - b.losses[i]), `loss of step ${i}`).toBeLessThan(2e-4 * Math.abs(b.losses[i])));
  const apart = a.weights.reduce((worst, w, i) => Math.max(worst, Math.abs(w - b.weights[i])), 0);
  expect(apart).toBeLessThan(1e-3); // a tenth of one step's length (lr 0.01)
}

describe.skipIf(!hasNative())("flags of the native backend", () => {
  let normal: Trained;
  beforeAll(async () => {
    normal = await train();
    expect(normal.losses.at(-1)).toBeLessThan(normal.losses[0]);
  });

  it("the same program gives the same bits", async () => {
    const again = await train();
    expect(again.bits).toBe(normal.bits);
    expect(again.losses).toEqual(normal.losses);
  });

  it.each([1, 3, 5])("GRAFT_THREADS=%i gives the same bits", async (threads) => {
    const other = await train({ GRAFT_THREADS: String(threads) });
    expect(other.description).toContain(`${threads} thread`);
    expect(other.losses).toEqual(normal.losses);
    expect(other.bits).toBe(normal.bits);
  });

  it.each<Record<string, string>>([{ GRAFT_FUSE: "0" }, { GRAFT_MEMPLAN: "0" }, { GRAFT_FUSE: "0", GRAFT_MEMPLAN: "0" }, { GRAFT_CHECK: "1" }])("%o agrees with the default", async (flags) => {
    const other = await train(flags);
    expectClose(other, normal);
    if (Object.keys(flags).join() === "GRAFT_MEMPLAN") expect(other.bits).toBe(normal.bits); // where values lie changes nothing
  });

  it("GRAFT_ISA=scalar trains to the same", async () => {
    const scalar = await train({ GRAFT_ISA: "scalar" });
    if (process.arch === "x64") expect(scalar.description).toContain("scalar");
    else expect(scalar.description).toBe(normal.description); // there is one set only
    expectClose(scalar, normal);
  });

  it("GRAFT_BACKEND=reference trains to the same", async () => {
    const reference = await train({ GRAFT_BACKEND: "reference" });
    expect(reference.backend).toBe("reference");
    expectClose(reference, normal);
  });

  it("GRAFT_COMPARE=reference finds nothing wrong and changes nothing", async () => {
    expect((await train({ GRAFT_COMPARE: "reference" })).bits).toBe(normal.bits);
  });
});

describe.skipIf(!hasWasm())("the kernels in WebAssembly", () => {
  const flags = { GRAFT_BACKEND: "wasm" };

  it("train to what the native ones train to, with the same bits for any number of threads", async () => {
    const single = await train({ ...flags, GRAFT_THREADS: "1" });
    expect(single.description).toMatch(/^wasm \(WebAssembly \w+, 1 thread\)$/);
    expectClose(single, await train(hasNative() ? {} : { GRAFT_BACKEND: "reference" }));
    for (const threads of ["2", "5"]) {
      const other = await train({ ...flags, GRAFT_THREADS: threads });
      expect(other.description).toContain(`${threads} threads`);
      expect(other.losses).toEqual(single.losses);
      expect(other.bits).toBe(single.bits);
    }
  });

  it("run under GRAFT_COMPARE=reference and find nothing wrong", async () => {
    await train({ ...flags, GRAFT_COMPARE: "reference" });
  });
});

describe.each([...(hasNative() ? ["cpu"] : []), ...(hasWasm() ? ["wasm"] : []), "reference"])("checks on %s", (GRAFT_BACKEND) => {
  it("GRAFT_CHECK=1 names the op, its shape and the user's line", async () => {
    const { out } = await runProgram("nan", { GRAFT_BACKEND, GRAFT_CHECK: "1" });
    expect(out).toMatch(/^log: the first NaN or Inf of the step: log f32 \[1, 4\], recorded at .*nan\.ts:8:\d+/);
    expect((await runProgram("nan", { GRAFT_BACKEND })).out).toBe("loss NaN\n");
  });

  it("GRAFT_MEMORY_LIMIT stops a plan that does not fit before it runs", async () => {
    const { out } = await runProgram("memory", { GRAFT_BACKEND, GRAFT_MEMORY_LIMIT: "1000000" });
    expect(out).toMatch(/^memory: step: needs \d+\.\d MiB at its peak, 1\.0 MiB are allowed \(GRAFT_MEMORY_LIMIT\); the largest buffer is 4\.0 MiB .*About \d+ % of this batch would fit/);
    expect((await runProgram("memory", { GRAFT_BACKEND })).out).toBe("it fitted\n");
  });
});

it("a flag with a value that means nothing is an error", async () => {
  expect((await runProgram("memory", { GRAFT_CHECK: "yes" })).err).toContain('GRAFT_CHECK: "yes" is not a whole number of 0 or more.');
  expect((await runProgram("memory", { GRAFT_BACKEND: "gpu" })).out).toContain('GRAFT_BACKEND: unknown value "gpu". Use one of auto, cpu, wasm, reference.');
});

describe("where the native kernels are missing", () => {
  const tree = mkdtempSync(join(tmpdir(), "graft-tree-"));
  beforeAll(() => {
    for (const path of ["src", "package.json", "tsconfig.json", "test/native/programs"]) cpSync(join(root, path), join(tree, path), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
  });
  afterAll(() => rmSync(tree, { recursive: true, force: true }));

  const expectFallback = ({ out, err, status }: Result, reason: RegExp): void => {
    expect(status).toBe(0);
    expect(out).toBe("it fitted\n");
    expect(err.trimEnd().split("\n")).toHaveLength(1);
    expect(err).toMatch(reason);
    expect(err).toContain(existsSync(join(tree, "build/wasm")) ? "The same kernels in WebAssembly take over, which is slower." : "The slow reference backend takes over.");
  };

  it("the reference takes over, and one line says so", async () => {
    expectFallback(await runProgram("memory", {}, tree), /^graft: the native kernels cannot be used: it was not built \(npm rebuild graftml builds it\)/);
  });

  it("GRAFT_BACKEND=cpu is an error then", async () => {
    const { out } = await runProgram("memory", { GRAFT_BACKEND: "cpu" }, tree);
    expect(out).toContain("GRAFT_BACKEND=cpu: the native kernels cannot be used: it was not built");
  });

  it("a damaged one is as good as none", async () => {
    mkdirSync(join(tree, "build/Release"), { recursive: true });
    writeFileSync(join(tree, "build/Release/graft.node"), "not a library");
    expectFallback(await runProgram("memory", {}, tree), /^graft: the native kernels cannot be used: .*graft\.node/);
  });

  it.skipIf(!hasWasm())("those in WebAssembly take over where they are there", async () => {
    cpSync(join(root, "build/wasm"), join(tree, "build/wasm"), { recursive: true });
    expectFallback(await runProgram("memory", {}, tree), /^graft: the native kernels cannot be used: .*graft\.node/);
    expect((JSON.parse((await runProgram("training", {}, tree)).out) as Trained).backend).toBe("wasm");
  });
});
