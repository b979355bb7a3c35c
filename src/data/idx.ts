import { GraftError } from "../base/index.js";
import { allocate, maxRank, showShape, type DType } from "../graph/index.js";
import { readBytes, unpack } from "./bytes.js";
import type { HostArray } from "./sample.js";

/** Element types by the third byte of an idx file. 8- and 16-bit integers with a sign become i32. */
const types: Readonly<Record<number, { bytes: number; dtype: DType; read: (view: DataView, at: number) => number }>> = {
  0x08: { bytes: 1, dtype: "u8", read: (view, at) => view.getUint8(at) },
  0x09: { bytes: 1, dtype: "i32", read: (view, at) => view.getInt8(at) },
  0x0b: { bytes: 2, dtype: "i32", read: (view, at) => view.getInt16(at) },
  0x0c: { bytes: 4, dtype: "i32", read: (view, at) => view.getInt32(at) },
  0x0d: { bytes: 4, dtype: "f32", read: (view, at) => view.getFloat32(at) },
  0x0e: { bytes: 8, dtype: "f64", read: (view, at) => view.getFloat64(at) },
};

/**
 * Reads an idx file, the format of MNIST, plain or packed with gzip.
 *
 * Throws `file` when it cannot be read, `format` when it is not idx, is cut off, or claims another size than it has.
 * Format: http://yann.lecun.com/exdb/mnist
 *
 * @example
 * const { shape, data } = await readIdx("train-images-idx3-ubyte.gz"); // [60000, 28, 28], Uint8Array
 */
export async function readIdx(file: string): Promise<HostArray> {
  return decode(file, await readBytes(file, (head) => total(file, head)));
}

/** Reads idx from bytes, plain or gzip; `name` is shown in errors. Throws as `readIdx`. */
export async function decodeIdx(bytes: Uint8Array, name = "bytes"): Promise<HostArray> {
  return decode(name, await unpack(name, bytes, (head) => total(name, head)));
}

interface Header {
  readonly type: (typeof types)[number];
  readonly shape: readonly number[];
  readonly start: number;
  readonly size: number;
}

/** Header: two zero bytes, the element type, the number of dimensions, then each size as a big-endian 32-bit number. */
function header(name: string, bytes: Uint8Array): Header {
  const bad = (problem: string): GraftError => new GraftError("format", `idx: ${name}: ${problem}. Check that it is the right file and complete.`);
  if (bytes.length < 4) throw bad(`is ${bytes.length} bytes long, a header alone takes 4 or more`);
  if (bytes[0] !== 0 || bytes[1] !== 0) throw bad("does not start with two zero bytes, so it is not an idx file");
  const type = types[bytes[2]];
  const rank = bytes[3];
  if (type === undefined) throw bad(`has the unknown element type 0x${bytes[2].toString(16).padStart(2, "0")}`);
  if (rank < 1 || rank > maxRank) throw bad(`has ${rank} dimensions, 1 to ${maxRank} are supported`);
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw bad(`ends within its header of ${start} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, n) => product * n, 1); // at most 2^256: inexact when hostile, but then far above the limit
  if (size > 2 ** 31) throw bad(`claims the shape ${showShape(shape)}, ${size} elements, more than can be read`);
  return { type, shape, start, size };
}

function total(name: string, head: Uint8Array): number {
  const { type, start, size } = header(name, head);
  return start + size * type.bytes;
}

function decode(name: string, bytes: Uint8Array): HostArray {
  const { type, shape, start, size } = header(name, bytes);
  const expected = start + size * type.bytes;
  if (bytes.length !== expected) {
    throw new GraftError(
      "format",
      `idx: ${name}: is ${bytes.length} bytes long, its shape ${showShape(shape)} needs ${expected}. Check that it is the right file and complete.`,
    );
  }
  if (type.dtype === "u8") return { dtype: "u8", shape, data: new Uint8Array(bytes.subarray(start)) };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = allocate(type.dtype, size);
  for (let i = 0; i < size; i++) data[i] = type.read(view, start + i * type.bytes);
  return { dtype: type.dtype, shape, data };
}
