import { GraftError } from "./errors.js";

function choice<T extends string>(name: string, values: readonly T[], fallback: T): T {
  const text = process.env[name];
  if (text === undefined || text === "") return fallback;
  const found = values.find((value) => value === text);
  if (found === undefined) throw new GraftError("config", `${name}: unknown value "${text}". Use one of ${values.join(", ")}.`);
  return found;
}

function integer(name: string, fallback: number): number {
  const text = process.env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new GraftError("config", `${name}: "${text}" is not a whole number of 0 or more.`);
  return value;
}

/** The `GRAFT_*` environment flags, read when asked so that a program can set them before its first step. */
export const env = {
  /** 0 off, 1 a line per step and hints, 2 time per kernel, 3 the graph after each pass, 4 buffers with lifetimes. */
  get debug(): number {
    return integer("GRAFT_DEBUG", 0);
  },
  /** Look for NaN and Inf after each kernel and name the op and the user's line. */
  get check(): boolean {
    return integer("GRAFT_CHECK", 0) > 0;
  },
  /** 0 turns fusion off (every op is its own kernel). */
  get fuse(): boolean {
    return integer("GRAFT_FUSE", 1) > 0;
  },
  /** 0 gives every buffer its own place in the arena. */
  get memplan(): boolean {
    return integer("GRAFT_MEMPLAN", 1) > 0;
  },
  /** Which backend runs plans. */
  get backend(): "auto" | "cpu" | "wasm" | "reference" {
    return choice("GRAFT_BACKEND", ["auto", "cpu", "wasm", "reference"], "auto");
  },
  /** Threads that compute; 0 means what the machine has. */
  get threads(): number {
    return integer("GRAFT_THREADS", 0);
  },
  /** `reference`: every plan also runs on the reference backend and the results are compared. */
  get compare(): "" | "reference" {
    return choice("GRAFT_COMPARE", ["", "reference"], "");
  },
  /** Folder with known data sets, each in a folder of its name; empty: the user's cache folder. */
  get data(): string {
    return process.env.GRAFT_DATA ?? "";
  },
  /** Bytes a plan may use; 0 means what the machine has. */
  get memoryLimit(): number {
    return integer("GRAFT_MEMORY_LIMIT", 0);
  },
} as const;
