import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path/posix";
import { describe, expect, it } from "vitest";
import { read, root, tracked } from "./tree.js";

const pages = tracked.filter((path) => path.endsWith(".md"));

/** Without code, which may contain brackets that are no links. */
const prose = (page: string): string => read(page).replace(/^(```|~~~)[\s\S]*?^\1/gm, "").replace(/`[^`\n]*`/g, "``");

/** The names under which headings can be linked to, as GitHub makes them. */
function anchors(page: string): Set<string> {
  const text = read(page).replace(/^(```|~~~)[\s\S]*?^\1/gm, "");
  const found = new Set<string>();
  for (const [, heading] of text.matchAll(/^#+ +(.+)$/gm)) {
    const name = heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    let unique = name;
    for (let i = 1; found.has(unique); i++) unique = `${name}-${i}`;
    found.add(unique);
  }
  return found;
}

const linksOf = (page: string): string[] => [...prose(page).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target]) => target).filter((target) => !/^[a-z]+:/.test(target));

describe("docs", () => {
  it("links lead somewhere", () => {
    const broken = pages.flatMap((page) =>
      linksOf(page).flatMap((target) => {
        const [path, anchor] = target.split("#");
        const file = path === "" ? page : normalize(join(dirname(page), decodeURI(path)));
        if (file.startsWith("..") || !existsSync(join(root, file))) return [`${page}: ${target}: there is no ${file}`];
        if (anchor === undefined || statSync(join(root, file)).isDirectory()) return [];
        return anchors(file).has(anchor) ? [] : [`${page}: ${target}: ${file} has no heading "${anchor}"`];
      }),
    );
    expect(broken).toEqual([]);
  });

  it("files that the docs name are there", () => {
    const named = /`((?:src|kernels|test|docs|examples|bench|scripts|bin|data)\/[\w./-]+\.(?:ts|js|mjs|cc|h|def|md|gz))`/g;
    const known = new Set(tracked);
    const made = new Set(pages.flatMap((page) => fileNames(page))); // files that a worked example makes
    const missing = pages.flatMap((page) => [...read(page).matchAll(named)].filter(([, path]) => !known.has(path) && !made.has(path)).map(([, path]) => `${page}: ${path}`));
    expect(missing).toEqual([]);
  });
});

describe("docs/debugging.md", () => {
  it("names every GRAFT_* flag that the code reads, and no other", () => {
    const page = read("docs/debugging.md");
    const sources = tracked.filter((path) => /^(src|kernels|scripts|bin)\/.*\.(ts|mjs|js|cc|h)$/.test(path) && !path.endsWith(".test.ts"));
    const reads = /(?:getenv\(|process\.env\.|process\.env\[|(?:choice|integer)\()"?(GRAFT_[A-Z]+(?:_[A-Z]+)*)/g;
    const flags = new Set(sources.flatMap((path) => [...read(path).matchAll(reads)].map(([, name]) => name)));
    expect(flags.size).toBeGreaterThan(8);
    expect([...flags].filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
    expect([...page.matchAll(/^\| `(GRAFT_\w+)`/gm)].map(([, name]) => name).filter((name) => !flags.has(name))).toEqual([]);
  });
});

/** Paths in the first line of code blocks: `// src/ops/foo.ts`. */
function fileNames(page: string): string[] {
  return [...read(page).matchAll(/^```\w+\n(?:\/\/|#) ((?:src|kernels|test)\/\S+)/gm)].map(([, path]) => path);
}
