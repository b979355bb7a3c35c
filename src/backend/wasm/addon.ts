import { availableParallelism } from "node:os";
import { env } from "../../base/index.js";
import type { SlotKind } from "../../plan/index.js";
import { abiVersion, type Addon } from "../addon.js";
import { engine } from "./engine.js";
import { instantiate, type Instance } from "./instance.js";
import { loadModule } from "./module.js";

const errorBytes = 512;
/** Slots from this size on, all together, are worth more than one thread. */
const threadsFrom = 1 << 18;
/** More than that only where GRAFT_THREADS asks for it: each is a thread of JavaScript. */
const mostThreads = 16;
const alignment = 64;
const roundUp = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;
const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** A plan in the module's memory. */
class Handle {
  constructor(
    readonly address: number,
    readonly kinds: readonly SlotKind[] | undefined,
  ) {}
}

/** An error as the native addon throws it. */
const failure = (message: string): Error => Object.assign(new Error(message), { code: "GRAFT_NATIVE" });

/**
 * The kernels in WebAssembly. They see one memory of 4 GiB at most: a slot that lies in it is used where it is, any other is copied in before a run and,
 * where the run writes it, out again.
 */
export class WasmAddon implements Addon {
  private readonly plans = new FinalizationRegistry<number>((address) => this.instance.exports.graft_plan_free(address));
  private readonly own = new WeakSet<ArrayBufferLike>();
  private readonly errorAt: number;
  /** One block for the slots that have to be copied, and one for the table of slots; both only grow. */
  private readonly staging = { address: 0, bytes: 0 };
  private readonly table = { address: 0, bytes: 0 };
  private started = false;
  private broken: string | undefined;

  constructor(
    private readonly instance: Instance,
    private wanted: number,
  ) {
    this.errorAt = this.reserve(errorBytes);
  }

  abiVersion(): number {
    return this.instance.exports.graft_abi_version();
  }

  isa(): string {
    return `WebAssembly ${this.text(this.instance.exports.graft_isa() >>> 0)}`;
  }

  threads(): number {
    return this.started ? this.instance.exports.graft_threads() : this.wanted;
  }

  setThreads(count: number): void {
    if (!(count >= 1 && count <= 1e6)) throw new TypeError("setThreads: expected a number of threads from 1 on");
    this.wanted = count;
    this.started = true;
    this.call((exports) => exports.graft_set_threads(count));
  }

  setProfile(on: boolean): void {
    this.call((exports) => exports.graft_set_profile(Number(on)));
  }

  hasKernel(name: string): boolean {
    return this.with(Buffer.from(`${name}\0`), (address) => this.call((exports) => exports.graft_has_kernel(address))) !== 0;
  }

  loadPlan(code: Float64Array, names: readonly string[], kinds?: readonly SlotKind[]): object {
    if (!(code instanceof Float64Array)) throw new TypeError("loadPlan: expected the plan as a Float64Array");
    const texts = names.map((name) => Buffer.from(`${name}\0`));
    const starts = Uint32Array.from(texts, () => 0);
    const address = this.with(bytesOf(code), (codeAt) =>
      this.with(Buffer.concat(texts), (textAt) => {
        texts.reduce((at, text, i) => (starts[i] = at) + text.length, textAt);
        return this.with(bytesOf(starts), (namesAt) => this.call((exports) => exports.graft_plan_load(codeAt, code.length, namesAt, names.length, this.errorAt, errorBytes)));
      }),
    );
    if (address === 0) throw failure(this.text(this.errorAt));
    const handle = new Handle(address >>> 0, kinds);
    this.plans.register(handle, handle.address);
    return handle;
  }

  runSync(plan: object, slots: readonly ArrayBufferView[], checkFinite: boolean): number {
    if (!(plan instanceof Handle)) throw new TypeError("run: expected a plan that loadPlan made");
    const wrong = slots.findIndex((slot) => !ArrayBuffer.isView(slot));
    if (wrong >= 0) throw new TypeError(`run: slot ${wrong} is not a typed array or DataView`);
    if (!this.started && slots.reduce((bytes, slot) => bytes + slot.byteLength, 0) >= threadsFrom) this.setThreads(this.wanted);
    const staged = this.place(slots);
    const at = (view: ArrayBufferView): number => staged.get(view)?.address ?? view.byteOffset;
    for (const [view, { address, slot }] of staged) if (plan.kinds?.[slot] !== "output") this.view(address, view.byteLength).set(bytesOf(view));
    const table = this.grow(this.table, 8 * slots.length);
    const words = new Uint32Array(this.instance.memory.buffer, table, 2 * slots.length);
    slots.forEach((view, i) => {
      words[i] = at(view);
      words[slots.length + i] = view.byteLength;
    });
    const result = this.call((exports) => exports.graft_plan_run(plan.address, table, table + 4 * slots.length, slots.length, Number(checkFinite), this.errorAt, errorBytes));
    if (result > 0) throw failure(this.text(this.errorAt));
    for (const [view, { address, slot }] of staged) if (plan.kinds?.[slot] !== "input") bytesOf(view).set(this.view(address, view.byteLength));
    return result;
  }

  /** The run itself is over when this returns; the promise lets the event loop turn, so that timers, signals and finalisers get their turn in a loop of steps. */
  run(plan: object, slots: readonly ArrayBufferView[], checkFinite: boolean): Promise<number> {
    try {
      const result = this.runSync(plan, slots, checkFinite);
      return new Promise((resolve) => setImmediate(resolve, result));
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  waitIdle(): void {
    // Runs end before they return.
  }

  planTimes(plan: object): Float64Array {
    if (!(plan instanceof Handle)) throw new TypeError("planTimes: expected a plan that loadPlan made");
    const count = this.call((exports) => exports.graft_plan_times(plan.address, 0, 0));
    const times = new Float64Array(count);
    return this.with(bytesOf(times), (address) => {
      this.call((exports) => exports.graft_plan_times(plan.address, address, count));
      bytesOf(times).set(this.view(address, times.byteLength));
      return times;
    });
  }

  /** Memory that kernels use in place, or undefined when there is none left. Free it with {@link release}. */
  allocate(bytes: number): { buffer: ArrayBufferLike; address: number } | undefined {
    const address = bytes < 2 ** 32 ? this.call((exports) => exports.graft_allocate(bytes)) >>> 0 : 0;
    if (address === 0) return undefined;
    const { buffer } = this.view(address, bytes);
    this.own.add(buffer);
    return { buffer, address };
  }

  release(address: number, bytes: number): void {
    if (this.broken === undefined) this.instance.exports.graft_free(address, bytes);
  }

  /** Whether a view lies in the kernels' memory. */
  holds(view: ArrayBufferView): boolean {
    return this.own.has(view.buffer);
  }

  /** Addresses in the staging block for the slots that lie elsewhere, each memory with the first slot that it is in. */
  private place(slots: readonly ArrayBufferView[]): Map<ArrayBufferView, { address: number; readonly slot: number }> {
    const staged = new Map<ArrayBufferView, { address: number; readonly slot: number }>();
    let bytes = 0;
    for (const [slot, view] of slots.entries()) {
      if (this.holds(view) || staged.has(view)) continue;
      staged.set(view, { address: bytes, slot });
      bytes += roundUp(view.byteLength);
    }
    const base = this.grow(this.staging, bytes);
    for (const place of staged.values()) place.address += base;
    return staged;
  }

  private grow(block: { address: number; bytes: number }, bytes: number): number {
    if (bytes > block.bytes) {
      if (block.address !== 0) this.release(block.address, block.bytes);
      Object.assign(block, { address: 0, bytes: 0 });
      Object.assign(block, { address: this.reserve(bytes), bytes });
    }
    return block.address;
  }

  private reserve(bytes: number): number {
    const got = this.allocate(bytes);
    if (got === undefined) {
      throw failure(`run: ${(bytes / 2 ** 20).toFixed(1)} MiB could not be had for its inputs and results: WebAssembly has 4 GiB for everything. Make the batch or the model smaller, or build the native kernels (npm rebuild graftml).`);
    }
    return got.address;
  }

  /** Runs `use` with a copy of `bytes` in the module's memory. */
  private with<T>(bytes: Uint8Array, use: (address: number) => T): T {
    const address = this.reserve(bytes.length);
    try {
      this.view(address, bytes.length).set(bytes);
      return use(address);
    } finally {
      this.release(address, bytes.length);
    }
  }

  /** Bytes of the memory. When another thread made it larger, this one sees that after asking for nothing more. */
  private view(address: number, bytes: number): Uint8Array {
    const { memory } = this.instance;
    if (address + bytes > memory.buffer.byteLength) memory.grow(0);
    return new Uint8Array(memory.buffer, address, bytes);
  }

  /** The text at an address, up to its zero. */
  private text(address: number): string {
    const bytes = this.view(address, Math.min(errorBytes, this.instance.memory.buffer.byteLength - address));
    return Buffer.from(bytes.slice(0, bytes.indexOf(0))).toString();
  }

  /** A trap leaves the engine's locks as they were: nothing can run after it. */
  private call<T>(f: (exports: Instance["exports"]) => T): T {
    if (this.broken !== undefined) throw failure(`the WebAssembly kernels stopped earlier (${this.broken}). Start the process again.`);
    try {
      return f(this.instance.exports);
    } catch (error) {
      if (!(error instanceof engine.RuntimeError)) throw error;
      this.broken = error.message;
      throw failure(`the WebAssembly kernels stopped: ${error.message}. This is a mistake in Graft; please report what you ran.`);
    }
  }
}

let loaded: { addon: WasmAddon } | { reason: string } | undefined;

/** Starts the kernels in WebAssembly (once per thread of JavaScript), or says why they cannot be. */
export function loadWasm(): { addon: WasmAddon } | { reason: string } {
  if (loaded !== undefined) return loaded;
  const found = loadModule();
  if ("reason" in found) return (loaded = found);
  try {
    const addon = new WasmAddon(instantiate(found.module), env.threads || Math.min(availableParallelism(), mostThreads));
    const version = addon.abiVersion();
    return (loaded = version === abiVersion ? { addon } : { reason: `they were built for another version of Graft (${version}, this is ${abiVersion})` });
  } catch (error) {
    return (loaded = { reason: (error as Error).message });
  }
}
