// npm's prepare script, run in a clone (and before packing): compiles src to dist where that is missing or older, the kernels to WebAssembly where there are
// no native ones, and links this package's own command into node_modules/.bin, so that `npx graft` runs the clone and never looks for a package of that name.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const at = (...parts) => join(root, ...parts);
const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function newestSource() {
  const files = readdirSync(at("src"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name.endsWith(".ts"));
  const configs = ["tsconfig.json", "tsconfig.build.json"].map((name) => at(name));
  return Math.max(...[...files.map((entry) => join(entry.parentPath ?? entry.path, entry.name)), ...configs].map(modified));
}

function buildDist() {
  if (!existsSync(at("src", "index.ts")) || !existsSync(at("tsconfig.build.json"))) return;   // a published package brings dist along
  if (modified(at("dist", "index.js")) > newestSource()) return;
  const begin = performance.now();
  rmSync(at("dist"), { recursive: true, force: true });
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", at("tsconfig.build.json")], { cwd: root, encoding: "utf8" });
  if (!existsSync(at("dist", "index.js"))) throw new Error(`tsc wrote no dist/index.js:\n${stdout}`);
  // JavaScript comes out despite type errors; `npm run types` is the gate for those.
  if (status !== 0) console.warn(`graft: warning: dist was compiled with type errors:\n${stdout}`);
  console.log(`graft: dist compiled in ${((performance.now() - begin) / 1000).toFixed(1)} s.`);
}

function linkCommand(name, target) {
  const directory = at("node_modules", ".bin");
  if (!existsSync(at("node_modules")) || !existsSync(at(target))) return;
  mkdirSync(directory, { recursive: true });
  if (process.platform === "win32") return writeFileSync(join(directory, `${name}.cmd`), `@node "%~dp0\\..\\..\\${target.replaceAll("/", "\\")}" %*\r\n`);
  chmodSync(at(target), 0o755);
  const link = join(directory, name), wanted = relative(directory, at(target));
  const present = lstatSync(link, { throwIfNoEntry: false });
  if (present?.isSymbolicLink() && readlinkSync(link) === wanted) return;
  rmSync(link, { force: true });
  symlinkSync(wanted, link);
}

// A clone on a machine without a C++ compiler computes with the kernels in WebAssembly (a minute's work for the compiler that npm brought along).
function buildWasm() {
  if (existsSync(at("build", "Release", "graft.node")) || !existsSync(at("node_modules", "@yowasp", "clang"))) return;
  spawnSync(process.execPath, [at("scripts", "build-wasm.mjs")], { cwd: root, stdio: "inherit" });
}

buildDist();
buildWasm();
for (const [name, target] of Object.entries(JSON.parse(readFileSync(at("package.json"), "utf8")).bin)) linkCommand(name, target);
