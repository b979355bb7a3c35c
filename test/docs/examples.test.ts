import { join } from "node:path";
import { manualSeed, useBackend } from "graftml";
import ts from "typescript";
import { afterEach, describe, expect, it } from "vitest";
import { root } from "../house/tree.js";
import { blocksOf, isRun, nameOf, pages } from "./blocks.js";
import { PageRunner } from "./run.js";

const shown = pages.map((page) => ({ page, blocks: blocksOf(page).filter(isRun) })).filter(({ blocks }) => blocks.length > 0);

describe.each(shown)("$page", ({ blocks }) => {
  const runner = new PageRunner();
  afterEach(() => useBackend(undefined));
  it.each(blocks.map((block) => ({ name: nameOf(block), block })))("$name", async ({ block }) => {
    manualSeed(0);
    if (block.marks.includes("reference")) useBackend("reference"); // its native part is not in this build
    const { tests } = await runner.run(block);
    if (block.file?.endsWith(".test.ts")) expect(tests).toBeGreaterThan(0);
  });
});

it("the code of the docs has no type errors", { timeout: 120_000 }, () => {
  const files = new Map(shown.flatMap(({ blocks }) => blocks.map((block) => [join(root, block.file ?? `docs/${block.page.replaceAll("/", "-")}-${block.line}.ts`), `${block.code}\nexport {};\n`] as const)));
  const config = ts.readConfigFile(join(root, "tsconfig.json"), (path) => ts.sys.readFile(path)).config as { compilerOptions: object };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.fileExists = (path) => files.has(path) || fileExists(path);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (path, version, ...rest) => (files.has(path) ? ts.createSourceFile(path, files.get(path)!, version) : getSourceFile(path, version, ...rest));
  const program = ts.createProgram([...files.keys()], options, host);
  const problems = [...files.keys()].flatMap((path) => {
    const source = program.getSourceFile(path)!;
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ start, messageText }) => `${path.slice(root.length)}:${source.getLineAndCharacterOfPosition(start ?? 0).line + 1}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
    );
  });
  expect(problems).toEqual([]);
});
