// npm run build:wasm: compiles the kernels to WebAssembly (build/wasm/graft.wasm, and graft-relaxed.wasm for engines with relaxed SIMD) with a clang that is
// itself WebAssembly and comes from npm. Nothing happens where the result is newer than its sources, or where that clang is not installed.
// --plain leaves out the second module, for tests on engines that could not load it.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { kernelHash } from "./kernel-hash.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = join(root, "build", "wasm");
const stampFile = join(out, "stamp.json");

const features = ["-msimd128", "-matomics", "-mbulk-memory"];
const flags = ["-Ikernels", "-std=c++17", "-O2", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-fno-threadsafe-statics", "-w"];
const core = ["bind/wasm.cc", "abi/graft.cc", ...["engine", "finite", "isa", "memory_wasm", "opcodes", "plan", "pool"].map((name) => `core/${name}.cc`)];
const exported = ["abi_version", "plan_load", "plan_run", "plan_times", "plan_free", "has_kernel", "isa", "set_threads", "threads", "set_profile"].map((name) => `graft_${name}`);
// 16 MiB of memory to begin with and 4 GiB at most, as src/backend/wasm/instance.ts has them. The C library in the compiler's package knows nothing of
// threads (--no-check-features): the kernels call nothing of it that keeps a state, but the allocator, around which memory_wasm.cc puts a lock.
const linking = ["--shared-memory", "--import-memory", "--initial-memory=16777216", "--max-memory=4294967296", "--no-check-features", "--stack-first", "-z", "stack-size=1048576", "--strip-debug",
  ...[...exported, "__stack_pointer", "__wasm_init_tls"].map((name) => `--export=${name}`)];
const modules = { graft: [], "graft-relaxed": ["-mrelaxed-simd"] };
const wanted = process.argv.includes("--plain") ? ["graft"] : Object.keys(modules);

/** The kernels as the compiler's own file system has them. It does not know `..`, so includes are written from the folder `kernels`. */
function sources(folder) {
  return Object.fromEntries(
    readdirSync(folder, { withFileTypes: true }).map((entry) => {
      const path = join(folder, entry.name);
      return [entry.name, entry.isDirectory() ? sources(path) : readFileSync(path, "utf8").replaceAll('#include "../', '#include "')];
    }),
  );
}

/** One call of the compiler; returns the file that it wrote. */
async function clang(args, files, result) {
  const { runClang } = await import("@yowasp/clang");
  console.log = () => undefined; // it tells about the reading of its own files
  let log = "";
  const decoder = new TextDecoder();
  const listen = (bytes) => void (log += bytes === null ? "" : decoder.decode(bytes));
  try {
    return (await runClang(["clang++", ...args, "-o", result], files, { stdout: listen, stderr: listen, decodeASCII: false }))[result];
  } catch (error) {
    throw new Error(`${error.message}\n${log}`);
  }
}

/** What a thread does: one object file. */
async function compile({ unit, more }) {
  const tree = sources(join(root, "kernels"));
  if (unit === "core") tree["core.cc"] = core.map((name) => `#include "${name}"\n`).join("");
  return clang([...flags, ...features, ...more, "-c", unit === "core" ? "kernels/core.cc" : "kernels/ops/all.cc"], { kernels: tree }, "unit.o");
}

const inThread = (job) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: job });
    worker.once("message", resolve).once("error", reject);
  });

async function build(names) {
  const jobs = names.flatMap((name) => ["ops", "core"].map((unit) => ({ unit, more: modules[name] })));
  const objects = await Promise.all(jobs.map(inThread));
  for (const [i, name] of names.entries()) {
    const files = { "ops.o": objects[2 * i], "core.o": objects[2 * i + 1] };
    const bytes = await clang(["-mexec-model=reactor", "-O2", ...Object.keys(files), ...linking.map((option) => `-Wl,${option}`)], files, "graft.wasm");
    writeFileSync(join(out, `${name}.tmp`), bytes);
    renameSync(join(out, `${name}.tmp`), join(out, `${name}.wasm`));
  }
}

async function main() {
  let stamp = {};
  if (existsSync(stampFile)) stamp = JSON.parse(readFileSync(stampFile, "utf8"));
  const hash = kernelHash(root, { text: JSON.stringify([features, flags, core, linking, modules]) });
  for (const name of Object.keys(modules)) if (!wanted.includes(name) && stamp[name] !== hash) rmSync(join(out, `${name}.wasm`), { force: true }); // older than the sources
  const missing = wanted.filter((name) => stamp[name] !== hash || !existsSync(join(out, `${name}.wasm`)));
  if (missing.length === 0) return;
  if (!existsSync(join(root, "node_modules", "@yowasp", "clang"))) throw new Error("@yowasp/clang is not installed");
  const begin = performance.now();
  mkdirSync(out, { recursive: true });
  await build(missing);
  writeFileSync(stampFile, JSON.stringify({ ...stamp, ...Object.fromEntries(missing.map((name) => [name, hash])) }));
  console.info(`graft: WebAssembly kernels built in ${((performance.now() - begin) / 1000).toFixed(1)} s.`);
}

if (!isMainThread) {
  parentPort.postMessage(await compile(workerData));
  process.exit(); // the compiler leaves nothing to wait for
} else {
  try {
    await main();
  } catch (error) {
    console.warn(`graft: warning: the WebAssembly kernels could not be built: ${error.message}`);
    if (process.argv.includes("--strict")) process.exitCode = 1;
  }
}
