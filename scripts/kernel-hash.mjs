// By what the builds of the kernels know whether their sources have changed.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** Hash of the folder `kernels` with its file names, of further files, and of a text that tells how they are built. */
export function kernelHash(root, { files = [], text = "" }) {
  const hash = createHash("sha256");
  const sources = readdirSync(join(root, "kernels"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of [...sources.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort(), ...files]) {
    hash.update(`${relative(root, file)}\0`).update(readFileSync(file)).update("\0");
  }
  return hash.update(text).digest("hex");
}
