import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root folder. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** All files under version control that are there, by path from the root. */
export const tracked: readonly string[] = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 })
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)));

export const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Source files of the library: not its tests, nor what only tests use. */
export const isSource = (path: string): boolean => path.startsWith("src/") && path.endsWith(".ts") && !path.endsWith(".test.ts") && !path.includes("/testing/");
