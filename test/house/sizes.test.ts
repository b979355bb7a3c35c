import { describe, expect, it } from "vitest";
import { read, tracked } from "./tree.js";

const limit = 500; // lines
const long = 200;

const sources = tracked.filter((path) => /\.(ts|js|mjs|cc|h|def)$/.test(path) && /^(src|kernels|test|bench|examples|scripts|bin)\//.test(path));
const sized = sources.map((path) => ({ path, lines: read(path).split("\n").length - 1 }));

describe("file sizes", () => {
  it(`no source file has more than ${limit} lines`, () => {
    const longer = sized.filter(({ lines }) => lines > long).sort((a, b) => b.lines - a.lines);
    if (longer.length > 0) console.log(`Longer than ${long} lines (of ${sized.length} files):\n${longer.map(({ path, lines }) => `  ${lines} ${path}`).join("\n")}`);
    expect(sized.filter(({ lines }) => lines > limit)).toEqual([]);
  });

  it("the tree has no large file", () => {
    const large = 4 << 20;
    expect(tracked.filter((path) => read(path).length > large)).toEqual([]);
  });
});
