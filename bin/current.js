import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Whether dist is there and no older than the sources, where this is a clone that has any. */
export function distIsCurrent() {
  const built = join(root, "dist", "cli", "index.js");
  const sources = join(root, "src");
  if (!existsSync(built)) return false;
  if (!existsSync(join(sources, "index.ts"))) return true; // a published package
  const since = statSync(built).mtimeMs;
  const files = readdirSync(sources, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"));
  return files.every((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs <= since);
}
