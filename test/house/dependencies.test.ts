import { describe, expect, it } from "vitest";
import { read } from "./tree.js";

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}
const manifest = (path: string): Manifest => JSON.parse(read(path)) as Manifest;

describe("dependencies", () => {
  const { dependencies = {}, devDependencies = {} } = manifest("package.json");
  const rows = new Map([...read("docs/dependencies.md").matchAll(/^\| `([\w@/-]+)` \| ([\d.]+) \| \d{4}-\d\d \| ([\w.-]+) \|/gm)].map(([, name, version, licence]) => [name, { version, licence }]));

  it("versions are exact", () => {
    const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version));
    expect(loose).toEqual([]);
  });

  it("docs/dependencies.md lists each with its version and licence", () => {
    expect([...rows.keys()].sort()).toEqual(Object.keys(dependencies).sort());
    for (const [name, { version, licence }] of rows) {
      const installed = manifest(`node_modules/${name}/package.json`);
      expect({ name, version, licence }).toEqual({ name, version: dependencies[name], licence: installed.license });
      expect(installed.version).toBe(version);
    }
    const page = read("docs/dependencies.md");
    expect(Object.keys(devDependencies).filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});
