import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path/posix";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { isSource, read, root, tracked } from "./tree.js";

/** The folders of src and their ranks: a folder imports lower ranks only. A new folder gets its line here. */
const ranks: Readonly<Record<string, number>> = {
  base: 0,
  graph: 1,
  ops: 2,
  autograd: 3,
  plan: 3,
  backend: 4,
  runtime: 5,
  nn: 6,
  optim: 6,
  io: 6,
  data: 6,
  models: 7,
  tune: 7,
  explain: 7,
  train: 7,
  cli: 8,
  dashboard: 8,
};
const top = 7; // from this rank on, folders of one rank may use each other, as long as there is no circle (the last test)

interface Import {
  readonly from: string;
  readonly to: string;
}

const folderOf = (path: string): string => path.split("/")[1];

/** All imports between the library's files, resolved to paths. */
const imports: readonly Import[] = tracked.filter(isSource).flatMap((from) =>
  ts.preProcessFile(read(from), true, true).importedFiles.flatMap(({ fileName }) => {
    if (fileName.startsWith("graftml")) return [{ from, to: `the package's own name "${fileName}"` }];
    return fileName.startsWith(".") ? [{ from, to: normalize(join(dirname(from), fileName)).replace(/\.js$/, ".ts") }] : [];
  }),
);
const show = (list: readonly Import[]): string[] => list.map(({ from, to }) => `${from} imports ${to}`);

/** `declare module "../graph/tensor.js"` adds methods to a class and has to name the file that declares it. */
const isAugmentation = ({ from, to }: Import): boolean =>
  to === "src/graph/tensor.ts" && read(from).includes('declare module "../graph/tensor.js"') && !read(from).includes('from "../graph/tensor.js"');

const across = imports.filter(({ from, to }) => from !== "src/index.ts" && folderOf(from) !== folderOf(to) && !isAugmentation({ from, to }));

describe("layers", () => {
  it("every folder of src has a rank", () => {
    const folders = new Set(tracked.filter((path) => isSource(path) && path !== "src/index.ts").map(folderOf));
    expect([...folders].filter((folder) => !(folder in ranks))).toEqual([]);
  });

  it("every import leads to a file", () => {
    expect(show(imports.filter(({ to }) => !existsSync(join(root, to))))).toEqual([]);
  });

  it("a folder imports lower ranks only", () => {
    const allowed = (from: string, to: string): boolean => ranks[to] < ranks[from] || (ranks[to] === ranks[from] && ranks[to] >= top);
    expect(show(across.filter(({ from, to }) => !allowed(folderOf(from), folderOf(to))))).toEqual([]);
  });

  it("other folders are imported through their index.ts", () => {
    const isIndex = (to: string): boolean => /^src\/[a-z]+\/index\.ts$/.test(to);
    expect(show(across.filter(({ to }) => !isIndex(to)))).toEqual([]);
    expect(show(imports.filter(({ from, to }) => from === "src/index.ts" && !isIndex(to)))).toEqual([]);
  });

  it("backends do not import each other", () => {
    const backend = (path: string): string | undefined => /^src\/backend\/([a-z]+)\//.exec(path)?.[1];
    expect(show(imports.filter(({ from, to }) => backend(from) !== undefined && backend(to) !== undefined && backend(from) !== backend(to)))).toEqual([]);
  });

  it("folders form no circle", () => {
    const edges = new Map<string, Set<string>>();
    for (const { from, to } of across) (edges.get(folderOf(from)) ?? edges.set(folderOf(from), new Set()).get(folderOf(from))!).add(folderOf(to));
    const circles: string[] = [];
    const visit = (folder: string, path: readonly string[]): void => {
      if (path.includes(folder)) return void circles.push([...path, folder].join(" -> "));
      for (const next of edges.get(folder) ?? []) visit(next, [...path, folder]);
    };
    for (const folder of edges.keys()) visit(folder, []);
    expect(circles).toEqual([]);
  });

  it("kernels include only what their layer may", () => {
    // ops: kernels, compiled once per instruction set; simd: vectors; core: decoding, memory, threads; bind and abi: the way in
    const allowed: Readonly<Record<string, readonly string[]>> = {
      simd: ["simd"],
      ops: ["ops", "simd", "core/kernel.h", "core/opcodes.h"],
      core: ["core", "ops/scalar.def"], // the table of opcodes
      abi: ["abi", "core"],
      bind: ["bind", "abi", "core"],
    };
    const wrong = tracked
      .filter((path) => /^kernels\/[a-z]+\/.*\.(cc|h)$/.test(path))
      .flatMap((from) =>
        [...read(from).matchAll(/^#include "([^"]+)"/gm)]
          .map(([, name]) => normalize(join(dirname(from), name)).replace(/^kernels\//, ""))
          .filter((to) => !allowed[folderOf(from)]?.some((prefix) => to === prefix || to.startsWith(`${prefix}/`)))
          .map((to) => `${from} includes ${to}`),
      );
    expect(wrong).toEqual([]);
  });
});
