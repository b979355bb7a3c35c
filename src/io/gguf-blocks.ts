import { fromBf16, fromF16, toBf16, toF16 } from "../graph/index.js";

/** How a tensor is stored in a GGUF file. */
export type GgufType = "f32" | "f16" | "bf16" | "q8_0" | "q4_0";

interface Layout {
  /** Number in the file. */
  readonly code: number;
  /** Values in a block; a row is a whole number of blocks. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
}

/** Layout of each type that is read and written. */
export const ggufLayouts: Readonly<Record<GgufType, Layout>> = {
  f32: { code: 0, block: 1, bytes: 4 },
  f16: { code: 1, block: 1, bytes: 2 },
  bf16: { code: 30, block: 1, bytes: 2 },
  q8_0: { code: 8, block: 32, bytes: 34 },
  q4_0: { code: 2, block: 32, bytes: 18 },
};

/** C's roundf: halves away from zero. */
const round = (x: number): number => (x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5));

/** A block of 32 values: f16 step d, then 32 bytes q; x = d q, d = max |x| / 127. */
function packQ8(values: Float32Array, from: number, out: DataView, at: number): void {
  let largest = 0;
  for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(values[from + i]));
  const step = Math.fround(largest / 127);
  const inverse = step === 0 ? 0 : Math.fround(1 / step);
  out.setUint16(at, toF16(step), true);
  for (let i = 0; i < 32; i++) out.setInt8(at + 2 + i, round(Math.fround(values[from + i] * inverse)));
}

/** A block of 32 values: f16 step d, then 16 bytes with values i and i + 16 in the low and high half; x = d (q - 8), and the value of largest magnitude is -8 d. */
function packQ4(values: Float32Array, from: number, out: DataView, at: number): void {
  let extreme = 0;
  for (let i = 0; i < 32; i++) if (Math.abs(values[from + i]) > Math.abs(extreme)) extreme = values[from + i];
  const step = Math.fround(extreme / -8);
  const inverse = step === 0 ? 0 : Math.fround(1 / step);
  const quantum = (i: number): number => Math.min(15, Math.trunc(Math.fround(Math.fround(values[from + i] * inverse) + 8.5)));
  out.setUint16(at, toF16(step), true);
  for (let i = 0; i < 16; i++) out.setUint8(at + 2 + i, quantum(i) | (quantum(i + 16) << 4));
}

/** Values as the bytes of a type; their number is a multiple of its block. */
export function packGguf(type: GgufType, values: Float32Array): Uint8Array {
  const { block, bytes } = ggufLayouts[type];
  const result = new Uint8Array((values.length / block) * bytes);
  const out = new DataView(result.buffer);
  for (let from = 0, at = 0; from < values.length; from += block, at += bytes) {
    if (type === "f32") out.setFloat32(at, values[from], true);
    else if (type === "f16") out.setUint16(at, toF16(values[from]), true);
    else if (type === "bf16") out.setUint16(at, toBf16(values[from]), true);
    else if (type === "q8_0") packQ8(values, from, out, at);
    else packQ4(values, from, out, at);
  }
  return result;
}

/** The values that bytes of a type stand for. */
export function unpackGguf(type: GgufType, stored: Uint8Array): Float32Array {
  const { block, bytes } = ggufLayouts[type];
  const values = new Float32Array((stored.byteLength / bytes) * block);
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  for (let to = 0, at = 0; to < values.length; to += block, at += bytes) {
    if (type === "f32") values[to] = view.getFloat32(at, true);
    else if (type === "f16") values[to] = fromF16(view.getUint16(at, true));
    else if (type === "bf16") values[to] = fromBf16(view.getUint16(at, true));
    else {
      const step = fromF16(view.getUint16(at, true));
      if (type === "q8_0") for (let i = 0; i < 32; i++) values[to + i] = step * view.getInt8(at + 2 + i);
      else {
        for (let i = 0; i < 16; i++) {
          const byte = view.getUint8(at + 2 + i);
          values[to + i] = step * ((byte & 15) - 8);
          values[to + i + 16] = step * ((byte >> 4) - 8);
        }
      }
    }
  }
  return values;
}
