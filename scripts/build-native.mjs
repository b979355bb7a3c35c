// npm's install script: compiles the kernels (build/Release/graft.node) with node-gyp. An installation without a compiler still succeeds: then
// a line says so and Graft computes with the kernels in WebAssembly. GRAFT_SKIP_NATIVE=1 skips the build.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { kernelHash } from "./kernel-hash.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);
const addon = join(root, "build", "Release", "graft.node");
const stampFile = join(root, "build", "graft-stamp.json");
const logFile = join(root, "build", "graft-build.log");

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, "utf8"));
  } catch {
    return {};
  }
}

/** Headers that lie beside this node, so that nothing is fetched. */
function localHeaders() {
  const configured = process.env.npm_config_nodedir;
  const prefix = configured || join(dirname(process.execPath), "..");
  return configured || existsSync(join(prefix, "include", "node", "node_api.h")) ? [`--nodedir=${prefix}`] : [];
}

/** 1 where the compiler is GCC: binding.gyp then uses flags that clang does not know. */
function gnuCompiler() {
  const { stdout } = spawnSync(process.env.CXX || "c++", ["--version"], { encoding: "utf8", shell: true });
  return /Free Software Foundation/.test(stdout ?? "") ? 1 : 0;
}

function compile(clean) {
  const gyp = require.resolve("node-gyp/bin/node-gyp.js");
  if (clean) for (const entry of readdirSync(join(root, "build"))) if (entry !== "wasm") rmSync(join(root, "build", entry), { recursive: true }); // node-gyp's clean would take the WebAssembly kernels along
  const args = [gyp, "configure", "build", "--release", `-j${availableParallelism()}`, ...localHeaders()];
  const env = { ...process.env, GYP_DEFINES: `${process.env.GYP_DEFINES ?? ""} gnu_compiler=${gnuCompiler()}`.trim() };
  const result = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8", maxBuffer: 1 << 28 });
  mkdirSync(dirname(logFile), { recursive: true });
  writeFileSync(logFile, `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ? `${result.error.message}\n` : ""}`);
  if (result.status !== 0) throw new Error(`node-gyp ended with ${result.status ?? result.signal ?? result.error?.message}`);
}

function main() {
  if (process.env.GRAFT_SKIP_NATIVE === "1") return console.log("graft: the native kernels are not built, GRAFT_SKIP_NATIVE is 1.");
  const wanted = { sources: kernelHash(root, { files: [join(root, "binding.gyp")] }), abi: process.versions.modules, target: `${process.platform}-${process.arch}`, root };
  const stamp = readStamp();
  if (existsSync(addon) && Object.entries(wanted).every(([key, value]) => stamp[key] === value)) return;
  const begin = performance.now();
  // Makefiles hold paths and flags of one place and one node; another one starts afresh.
  compile(existsSync(dirname(logFile)) && ["abi", "target", "root"].some((key) => stamp[key] !== wanted[key]));
  const { isa } = require(addon);
  writeFileSync(stampFile, JSON.stringify(wanted));
  console.log(`graft: native kernels built in ${((performance.now() - begin) / 1000).toFixed(1)} s, this machine runs ${isa()}.`);
}

try {
  main();
} catch (error) {
  const log = existsSync(logFile) ? ` The log is ${logFile}.` : "";
  console.warn(`graft: warning: the native kernels could not be built (${error.message}), so those in WebAssembly compute, or the slow TypeScript backend.${log}`);
  if (process.argv.includes("--strict")) process.exitCode = 1;
}
