import { allocate, arrayDType, bytesPerElement, viewBytes, type DType, type TypedArray } from "../../graph/index.js";
import { collectGarbage } from "../collect.js";
import type { KernelMemory } from "../kernels.js";
import type { WasmAddon } from "./addon.js";

/** Smaller values live on the JavaScript heap: copying them costs a few microseconds. */
const residentFrom = 1 << 16;
const most = 2 ** 32 - 2 ** 26;
/** Values that stay in the kernels' memory take this much of it at most; the rest is for the arena, scratch and what has to be copied. */
const mostResident = 2.5 * 2 ** 30;
/** The garbage collector sees small views and knows nothing of the memory behind them, so it is called after this much new memory. */
const collectEvery = 2 ** 28;

/** Results and weights in the memory of the kernels, where no run has to copy them. A view that nobody holds any more gives its memory back. */
export function wasmMemory(addon: WasmAddon): KernelMemory {
  let resident = 0;
  let sinceCollection = 0;
  const views = new FinalizationRegistry<{ readonly address: number; readonly bytes: number }>(({ address, bytes }) => {
    addon.release(address, bytes);
    resident -= bytes;
  });
  const take = (dtype: DType, length: number): TypedArray | undefined => {
    const bytes = length * bytesPerElement(dtype);
    if (bytes < residentFrom) return undefined;
    sinceCollection += bytes;
    if (sinceCollection > collectEvery) {
      sinceCollection = 0;
      collectGarbage(true); // the finalisers run when the event loop turns next
    }
    if (resident + bytes > mostResident) return undefined;
    const got = addon.allocate(bytes);
    if (got === undefined) return undefined;
    const view = viewBytes(dtype, got.buffer, got.address, length);
    resident += bytes;
    views.register(view, { address: got.address, bytes });
    return view;
  };
  return {
    get memoryLimit() {
      return most - resident;
    },
    allocate: (dtype, length) => take(dtype, length) ?? allocate(dtype, length),
    adopt(memory) {
      if (memory.byteLength < residentFrom || addon.holds(memory)) return memory;
      const moved = take(arrayDType(memory), memory.length);
      moved?.set(memory);
      return moved ?? memory;
    },
  };
}
