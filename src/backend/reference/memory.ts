import { bytesPerElement, decode, encode, sizeOf, viewBytes, type RefArray, type TypedArray } from "../../graph/index.js";
import { arena, virtual, type PlanView } from "../../plan/index.js";

/** Calls `visit` with the element position of every index of a view, in order. */
function walk({ shape, strides }: PlanView, start: number, visit: (at: number, i: number) => void): void {
  const size = sizeOf(shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, at = start; i < size; i++) {
    visit(at, i);
    for (let d = shape.length - 1; d >= 0; d--) {
      at += strides[d];
      if (++index[d] < shape[d]) break;
      at -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

function memoryOf(view: PlanView, slots: readonly TypedArray[], arenaBytes: ArrayBuffer): { array: TypedArray; start: number } {
  const buffer = view.buffer === arena ? new Uint8Array(arenaBytes) : slots[view.buffer];
  const bytes = bytesPerElement(view.dtype);
  const array = viewBytes(view.dtype, buffer.buffer, buffer.byteOffset, Math.floor(buffer.byteLength / bytes));
  return { array, start: view.offset / bytes };
}

/** The elements of a view as f64. */
export function readView(view: PlanView, slots: readonly TypedArray[], arenaBytes: ArrayBuffer): RefArray {
  const data = new Float64Array(sizeOf(view.shape));
  if (view.buffer === virtual) walk(view, view.offset, (at, i) => void (data[i] = at));
  else {
    const { array, start } = memoryOf(view, slots, arenaBytes);
    walk(view, start, (at, i) => void (data[i] = decode(view.dtype, array[at])));
  }
  return { shape: view.shape, dtype: view.dtype, data };
}

/** Stores f64 values, rounded to the dtype of the view. */
export function writeView(view: PlanView, data: Float64Array, slots: readonly TypedArray[], arenaBytes: ArrayBuffer): void {
  const { array, start } = memoryOf(view, slots, arenaBytes);
  walk(view, start, (at, i) => void (array[at] = encode(view.dtype, data[i])));
}
