#!/usr/bin/env node
// The command. Runs dist; in a clone whose sources are newer than dist (or that has none) it runs src through tsx, so that it is never stale.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

function distIsCurrent() {
  const built = join(root, "dist", "cli", "index.js");
  const sources = join(root, "src");
  if (!existsSync(built)) return false;
  if (!existsSync(join(sources, "index.ts"))) return true; // a published package
  const since = statSync(built).mtimeMs;
  const files = readdirSync(sources, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"));
  return files.every((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs <= since);
}

process.setSourceMapsEnabled(true);
const dist = distIsCurrent();
if (!dist) (await import("tsx/esm/api")).register();
const { main } = await import(dist ? "../dist/cli/index.js" : "../src/cli/index.ts");
process.exitCode = await main(process.argv.slice(2));
