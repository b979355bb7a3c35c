import { cpus, totalmem } from "node:os";
import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import { graftVersion } from "../../models/index.js";
import { currentBackend, hasNative, hasWasm, memoryLimit } from "../../runtime/index.js";
import { print, table } from "../output.js";

const help = `
Examples:
  graft info
  GRAFT_THREADS=1 graft info
  graft info --json`;

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** `graft info` */
export function setUp(command: Command): void {
  command.option("--json", "print as JSON").addHelpText("after", help).action(info);
}

function info({ json }: { readonly json?: boolean }): void {
  let backend: string;
  try {
    backend = currentBackend().description;
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    backend = `none: ${error.message}`;
  }
  const processors = cpus();
  const flags = Object.entries(process.env).filter(([name]) => name.startsWith("GRAFT_"));
  const facts: Record<string, string> = {
    graft: graftVersion(),
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    processor: `${processors[0]?.model.trim() ?? "unknown"}, ${processors.length} logical`,
    memory: `${gib(totalmem())}; a step may use ${gib(memoryLimit())}`,
    "native kernels": hasNative() ? "built" : "missing (npm rebuild graftml builds them)",
    "WebAssembly kernels": hasWasm() ? "built" : "missing (npm run build:wasm builds them in a clone)",
    backend,
    flags: flags.length === 0 ? "none set" : flags.map(([name, value]) => `${name}=${value}`).join(" "),
  };
  print(json ? JSON.stringify(facts) : table(Object.entries(facts)));
}
