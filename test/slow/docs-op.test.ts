import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { hasNative } from "graftml";
import { afterAll, expect, it } from "vitest";
import { blocksOf } from "../docs/blocks.js";
import { root } from "../house/tree.js";

const page = "docs/adding-an-op.md";

/** Adds the `+` lines of a diff block behind the line shown before them. */
function applyDiff(tree: string, path: string, diff: string): void {
  const lines = readFileSync(join(tree, path), "utf8").split("\n");
  let at = -1;
  for (const line of diff.split("\n").slice(1)) {
    if (line.startsWith(" ")) at = lines.indexOf(line.slice(1));
    else if (line.startsWith("+")) lines.splice(++at, 0, line.slice(1));
    expect(at, `${path}: "${line}"`).toBeGreaterThanOrEqual(0);
    if (line === "") break;
  }
  writeFileSync(join(tree, path), lines.join("\n"));
}

/** Runs node in the tree and returns what it printed, whether it succeeded or not. */
const node = (tree: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> =>
  promisify(execFile)(process.execPath, args, { cwd: tree, env: { ...process.env, ...env }, maxBuffer: 1 << 26 }).then(
    ({ stdout, stderr }) => `${stdout}${stderr}`,
    (error: { stdout: string; stderr: string; code: number }) => `${error.stdout}${error.stderr}exit status ${error.code}`,
  );

// The whole example of docs/adding-an-op.md in a copy of the tree: its kernels are built, and its tests run on them.
const tree = mkdtempSync(join(tmpdir(), "graft-op-"));
afterAll(() => rmSync(tree, { recursive: true, force: true }));

it.skipIf(!hasNative())("the ops of docs/adding-an-op.md work natively", { timeout: 1_200_000 }, async () => {
  const files = execFileSync("git", ["ls-files", "-coz", "--exclude-standard", "src", "kernels", "scripts", "data", "test/wasm-setup.ts", ":(glob)*"], { cwd: root, encoding: "utf8" }).split("\0");
  for (const path of files.filter((file) => file !== "" && existsSync(join(root, file)))) cpSync(join(root, path), join(tree, path));
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
  const tests: string[] = [];
  for (const { language, file, code } of blocksOf(page)) {
    if (file === undefined) continue;
    if (language === "diff") applyDiff(tree, file, code);
    else {
      mkdirSync(dirname(join(tree, file)), { recursive: true });
      writeFileSync(join(tree, file), code);
      if (file.endsWith(".test.ts")) tests.push(file);
    }
  }
  expect(tests).toHaveLength(3);
  const log = await node(tree, ["scripts/build-native.mjs", "--strict"]);
  expect(log, existsSync(join(tree, "build/graft-build.log")) ? readFileSync(join(tree, "build/graft-build.log"), "utf8").slice(-3000) : log).not.toContain("exit status");
  expect(await node(tree, ["node_modules/vitest/vitest.mjs", "run", ...tests], { GRAFT_BACKEND: "cpu" })).toMatch(/Test Files .*3 passed/);
});
