import { GraftError } from "../base/index.js";

/** Element types. `bf16` and `f16` are storage only: arithmetic on them is done in f32. */
export type DType = "f32" | "f64" | "i32" | "u8" | "bool" | "bf16" | "f16";

/** The memory of a tensor in JavaScript. bool is one byte of 0 or 1; bf16 and f16 are raw bits. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array;

interface DTypeInfo {
  readonly code: number; // in plans, see kernels/abi/encoding.md
  readonly bytes: number;
  readonly float: boolean;
  readonly rank: number; // order of promotion
  readonly array: new (length: number) => TypedArray;
}

const info: Record<DType, DTypeInfo> = {
  f32: { code: 0, bytes: 4, float: true, rank: 5, array: Float32Array },
  f64: { code: 1, bytes: 8, float: true, rank: 6, array: Float64Array },
  i32: { code: 2, bytes: 4, float: false, rank: 2, array: Int32Array },
  u8: { code: 3, bytes: 1, float: false, rank: 1, array: Uint8Array },
  bool: { code: 4, bytes: 1, float: false, rank: 0, array: Uint8Array },
  bf16: { code: 5, bytes: 2, float: true, rank: 3, array: Uint16Array },
  f16: { code: 6, bytes: 2, float: true, rank: 4, array: Uint16Array },
};

/** All dtype names. */
export const dtypes = Object.keys(info) as readonly DType[];

export const dtypeCode = (dtype: DType): number => info[dtype].code;
export const bytesPerElement = (dtype: DType): number => info[dtype].bytes;
export const isFloat = (dtype: DType): boolean => info[dtype].float;

/** Checks a dtype that came from outside (an option, a file). */
export function checkDType(op: string, dtype: string): DType {
  if (!(dtype in info)) throw new GraftError("dtype", `${op}: unknown dtype "${dtype}". Use one of ${dtypes.join(", ")}.`);
  return dtype as DType;
}

/** Zero-filled memory for `length` elements. */
export function allocate(dtype: DType, length: number): TypedArray {
  return new info[dtype].array(length);
}

/** A typed array of `dtype` over existing bytes. */
export function viewBytes(dtype: DType, buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray {
  return new (info[dtype].array as unknown as new (b: ArrayBufferLike, o: number, n: number) => TypedArray)(buffer, byteOffset, length);
}

/**
 * The dtype in which an operation on `a` and `b` is done, as in PyTorch: floats win over integers, wider wins over narrower, and
 * bf16 with f16 gives f32.
 */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  if ((a === "bf16" && b === "f16") || (a === "f16" && b === "bf16")) return "f32";
  return info[a].rank > info[b].rank ? a : b;
}

/** The dtype that arithmetic uses for values stored as `dtype`. */
export const computeDType = (dtype: DType): "f32" | "f64" | "i32" => (dtype === "f64" ? "f64" : isFloat(dtype) ? "f32" : "i32");

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** Rounds an f32 to the nearest bf16 (ties to even) and returns its 16 bits. */
export function toBf16(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The value of 16 bits of bf16. */
export function fromBf16(bits: number): number {
  scratchBits[0] = bits << 16;
  return scratch[0];
}

/** Rounds an f32 to the nearest IEEE half (ties to even) and returns its 16 bits. */
export function toF16(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00); // NaN, or too large: infinity
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(scratch[0]) * 2 ** 24); // subnormal: a multiple of 2^-24
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The value of 16 bits of IEEE half. */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds to the nearest whole number, halves to even, as IEEE and PyTorch do. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Reads a storage value as a number. */
export function decode(dtype: DType, raw: number): number {
  return dtype === "bf16" ? fromBf16(raw) : dtype === "f16" ? fromF16(raw) : raw;
}

/** Turns a number into what the storage of `dtype` holds. Integers truncate; anything but 0 is true for bool. */
export function encode(dtype: DType, value: number): number {
  switch (dtype) {
    case "bf16":
      return toBf16(value);
    case "f16":
      return toF16(value);
    case "bool":
      return value === 0 ? 0 : 1;
    case "i32":
      return Number.isNaN(value) ? 0 : Math.max(-2147483648, Math.min(2147483647, Math.trunc(value)));
    case "u8":
      return Math.trunc(value) & 255;
    default:
      return value;
  }
}

/** The dtype whose elements an array holds; 16-bit words are taken for bf16. */
export const arrayDType = (array: TypedArray): DType =>
  array instanceof Float32Array ? "f32" : array instanceof Float64Array ? "f64" : array instanceof Int32Array ? "i32" : array instanceof Uint8Array ? "u8" : "bf16";
