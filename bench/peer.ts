import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Workload } from "./workloads.js";

/** Graft comes first: the ratios are over it. */
export const peerNames = ["graft", "graft-compile", "graft-wasm", "pytorch", "pytorch-compile", "tfjs-wasm", "jax-wasm"] as const;
export type PeerName = (typeof peerNames)[number];

/** A library to measure: how to start a process that answers rounds for one workload, and whether it is installed. */
export interface Peer {
  readonly name: PeerName;
  readonly command: (workload: Workload) => readonly string[];
  /** The same where the time inside kernels is measured instead of a step's. */
  readonly profiled?: (workload: Workload) => readonly string[];
  /** Whether it has a workload. */
  readonly runs: (workload: Workload) => boolean;
  /** What is measured, for the report: name and version. */
  readonly version: readonly [name: string, version: string];
  /** Undefined when it can run, otherwise what to do to have it. */
  readonly missing: string | undefined;
}

/** The repository's root folder, in which peers run. */
export const root = fileURLToPath(new URL("..", import.meta.url));
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const versionIn = (file: string): string => (existsSync(here(file)) ? (JSON.parse(readFileSync(here(file), "utf8")) as { version: string }).version : "");
const isTraining = (workload: Workload): boolean => workload.kernel === undefined && workload.function === undefined;
const tsx = [process.execPath, "--import", "tsx"];
const withGraft = [...tsx, "--import", new URL("peers/graft/library.js", import.meta.url).href];

function graft(name: PeerName, mode: "eager" | "compile"): Peer {
  const command = ({ name: workload }: Workload): string[] => [...withGraft, here("peers/graft/main.ts"), workload, mode];
  const profiled = (workload: Workload): string[] => [...command(workload), "kernels"];
  return { name, command, profiled, runs: mode === "eager" ? () => true : isTraining, version: ["Graft", versionIn("../package.json")], missing: undefined };
}

/** The same kernels in WebAssembly, where the other WebAssembly libraries have something to be compared with. */
function graftWasm(name: PeerName): Peer {
  const command = ({ name: workload }: Workload): string[] => [...withGraft, here("peers/graft/wasm.ts"), workload, "eager"];
  const missing = existsSync(here("../build/wasm/graft.wasm")) ? undefined : "npm run build:wasm builds it";
  return { name, command, runs: (workload) => workload.javascript === true, version: ["Graft", versionIn("../package.json")], missing };
}

interface Python {
  readonly program: string;
  /** PyTorch's version; empty where it is not installed. */
  readonly torch: string;
}

let found: Python | undefined;

/** The Python that GRAFT_BENCH_PYTHON names (default python3), asked once. */
function python(): Python {
  if (found !== undefined) return found;
  const program = process.env.GRAFT_BENCH_PYTHON ?? "python3";
  const { status, stdout } = spawnSync(program, ["-c", "import torch; print(torch.__version__)"], { encoding: "utf8" });
  return (found = { program, torch: status === 0 ? stdout.trim() : "" });
}

/** torch.compile turns its graphs to C++ and runs a compiler on them. */
const hasCompiler = (): boolean => (process.env.CXX === undefined ? ["g++", "clang++"] : [process.env.CXX]).some((name) => spawnSync(name, ["--version"]).status === 0);

function pytorch(name: PeerName, mode: "eager" | "compile"): Peer {
  const { program, torch } = python();
  const spec = (workload: Workload): string[] => (isTraining(workload) ? [] : [JSON.stringify(workload.kernel ?? workload.function)]);
  const command = (workload: Workload): string[] => [program, "-B", here("peers/pytorch/main.py"), workload.name, mode, ...spec(workload)];
  const missing = torch === "" ? "install torch and set GRAFT_BENCH_PYTHON" : mode === "compile" && !hasCompiler() ? "torch.compile needs a C++ compiler: install g++ or clang++, or set CXX" : undefined;
  return { name, command, runs: mode === "eager" ? () => true : isTraining, version: ["PyTorch", torch], missing };
}

function javascript(name: PeerName, file: string, title: string, module: string): Peer {
  const version = versionIn(`peers/node_modules/${module}/package.json`);
  const command = (workload: Workload): string[] => [...tsx, here(`peers/${file}`), workload.name];
  return { name, command, runs: (workload) => workload.javascript === true, version: [title, version], missing: version === "" ? "npm run bench:peers installs it" : undefined };
}

const makers: Readonly<Record<PeerName, (name: PeerName) => Peer>> = {
  graft: (name) => graft(name, "eager"),
  "graft-compile": (name) => graft(name, "compile"),
  "graft-wasm": graftWasm,
  pytorch: (name) => pytorch(name, "eager"),
  "pytorch-compile": (name) => pytorch(name, "compile"),
  "tfjs-wasm": (name) => javascript(name, "tfjs.mjs", "TensorFlow.js", "@tensorflow/tfjs-backend-wasm"),
  "jax-wasm": (name) => javascript(name, "jax.mjs", "jax-js", "@jax-js/jax"),
};

/** The peers of these names, installed or not. */
export const findPeers = (names: readonly PeerName[]): Peer[] => names.map((name) => makers[name](name));

/** Versions of everything that was measured, with Node's. */
export const versionsOf = (peers: readonly Peer[]): Record<string, string> =>
  Object.fromEntries([["Node", process.versions.node] as const, ...peers.filter(({ missing }) => missing === undefined).map(({ version }) => version)]);
