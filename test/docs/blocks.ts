import { read, tracked } from "../house/tree.js";

/** A block of code on a page of the docs. */
export interface Block {
  readonly page: string;
  /** Line of the page on which the code begins. */
  readonly line: number;
  readonly language: string;
  /** What follows the language: `sketch` is not run, `continued` goes on from the block before, `reference` runs on that backend. */
  readonly marks: readonly string[];
  /** The file that the block is, where its first line names one: `// src/ops/foo.ts`. */
  readonly file: string | undefined;
  readonly code: string;
}

/** Pages whose TypeScript is run. */
export const pages = tracked.filter((path) => path.endsWith(".md") && (path === "README.md" || path.startsWith("docs/")));

/** The blocks of a page; continued ones are joined with those they continue. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const text = read(page);
  for (const match of text.matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```/gm)) {
    const [, language, info, code] = match;
    const marks = info.trim().split(/\s+/);
    const line = text.slice(0, match.index).split("\n").length + 1;
    if (marks.includes("continued")) {
      const before = blocks.findLast((block) => block.language === language);
      if (before === undefined) throw new Error(`${page}:${line}: there is no block to continue`);
      blocks[blocks.indexOf(before)] = { ...before, code: `${before.code}\n${code}` };
    } else {
      blocks.push({ page, line, language, marks, file: /^(?:\/\/|#) ([\w./-]+\/[\w.-]+)\n/.exec(code)?.[1], code });
    }
  }
  return blocks;
}

/** TypeScript that is run. */
export const isRun = ({ language, marks }: Block): boolean => language === "ts" && !marks.includes("sketch");

/** What a page shows in comments: `// [1, 2]`, by line of code. */
export const nameOf = ({ page, line, file }: Block): string => `${page}:${line}${file === undefined ? "" : ` (${file})`}`;
