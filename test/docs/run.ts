import { dirname, join, normalize } from "node:path/posix";
import ts from "typescript";
import { expect } from "vitest";
import { root } from "../house/tree.js";
import type { Block } from "./blocks.js";

type Exports = Record<string, unknown>;
type Require = (name: string) => Exports;

const options: ts.CompilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true, verbatimModuleSyntax: false };

/** What the docs may import from vitest: tests are collected and run after the file. */
function collector(tests: (() => unknown)[]): Exports {
  const it = (_name: string, body: () => unknown): void => void tests.push(body);
  const call = (body: (...args: unknown[]) => unknown, one: unknown) => (): unknown => (Array.isArray(one) ? body(...(one as unknown[])) : body(one));
  it.each = (cases: readonly unknown[]) => (_name: string, body: (...args: unknown[]) => unknown): void => void tests.push(...cases.map((one) => call(body, one)));
  const describe = (_name: string, body: () => void): void => body();
  describe.each = (cases: readonly unknown[]) => (_name: string, body: (one: unknown) => void): void => cases.forEach((one) => body(one));
  return { it, test: it, expect, describe };
}

/** Runs the blocks of one page: files of a worked example see each other as if they were in the tree. */
export class PageRunner {
  private readonly made = new Map<string, Exports>();

  /** Runs a block and the tests in it. Returns what it exports and how many tests there were. */
  async run(block: Block): Promise<{ exports: Exports; tests: number }> {
    const from = block.file ?? "docs/example.ts";
    const tests: (() => unknown)[] = [];
    const modules = new Map<string, Exports>([["vitest", collector(tests)]]);
    for (const { fileName } of ts.preProcessFile(block.code, true, true).importedFiles) {
      if (!modules.has(fileName)) modules.set(fileName, await this.load(fileName, from));
    }
    const { outputText } = ts.transpileModule(block.code, { compilerOptions: options, fileName: from });
    const exports: Exports = {};
    const AsyncFunction = (async () => undefined).constructor as new (...args: string[]) => (exports: Exports, require: Require) => Promise<void>;
    await new AsyncFunction("exports", "require", outputText)(exports, (name) => modules.get(name)!);
    if (block.file !== undefined) this.made.set(block.file, exports);
    for (const test of tests) await test();
    return { exports, tests: tests.length };
  }

  private async load(name: string, from: string): Promise<Exports> {
    const path = name.startsWith(".") ? normalize(join(dirname(from), name)).replace(/\.js$/, ".ts") : undefined;
    const made = path === undefined ? undefined : this.made.get(path);
    if (made !== undefined) return made;
    const real = path !== undefined ? join(root, path) : name === "graftml" ? join(root, "src/index.ts") : name.startsWith("graftml/") ? join(root, `src/${name.slice(8)}/index.ts`) : name;
    return (await import(/* @vite-ignore */ real)) as Exports;
  }
}
