import { describe, expect, it } from "vitest";
import { read, tracked } from "./tree.js";

// Written so that this file does not find itself.
const machinePaths = new RegExp(["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/[a-z]", "/Us" + "ers/[a-z]", "[A-Z]:\\\\Us" + "ers"].map((path) => `(?<![\\w.])${path}`).join("|"));
const registries = new RegExp(["registry\\.npm" + "js\\.org", "registry\\.yarn" + "pkg\\.com", "npm\\.pkg\\." + "github", "deb\\.deb" + "ian\\.org", "pypi\\." + "org", "\\bresol" + "ved\": *\"http"].join("|"));

const binary = /\.(gz|png|jpe?g|node|safetensors|bin|idx|ico|woff2?)$/;
const texts = tracked.filter((path) => !binary.test(path));

const lines = (pattern: RegExp): string[] =>
  texts.flatMap((path) =>
    read(path)
      .split("\n")
      .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim().slice(0, 120)}`] : [])),
  );

describe("the tree names no place of one machine", () => {
  it("no paths of a machine", () => expect(lines(machinePaths)).toEqual([]));
  it("no hosts of package registries", () => expect(lines(registries)).toEqual([]));
  it("no leftovers", () => {
    expect(tracked.filter((path) => /(^|\/)(\.DS_Store|node_modules|build|dist|runs)(\/|$)|\.(orig|rej|log|tmp)$/.test(path))).toEqual([]);
    expect(lines(/^(<{7}|>{7}) |\b(TO[D]O|FIX[M]E|XX[X])\b/)).toEqual([]);
  });
});
