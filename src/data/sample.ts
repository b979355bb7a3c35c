import { GraftError } from "../base/index.js";
import { allocate, encode, sameShape, showShape, sizeOf, type DType, type Shape, type TypedArray } from "../graph/index.js";

/** Values in plain memory with their shape and dtype. */
export interface HostArray {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TypedArray;
}

/** A picture: `data` holds one plane after the other, [C, H, W]; values are usually from 0 to 1. */
export interface Image {
  readonly data: Float32Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** One part of a sample. A number is a whole one (a label); fractions go into a `Float32Array`. */
export type Field = number | boolean | TypedArray | readonly number[] | HostArray | Image;

/** What a data set gives for one index: a tuple of fields, one field, or fields by name. */
export type Sample = readonly Field[] | Field | { readonly [name: string]: Field };

/** Samples laid on top of each other: for each field an array [B, ...shape of the field]. */
export type HostBatch = readonly HostArray[] | { readonly [name: string]: HostArray };

/** Whether a field is a picture. */
export const isImage = (field: unknown): field is Image => typeof field === "object" && field !== null && "channels" in field && "data" in field;

/** The dtype of each field, where it is not the field's own: by position, or by name. */
export type FieldTypes = readonly (DType | undefined)[] | { readonly [name: string]: DType | undefined };

/**
 * Lays samples on top of each other, as a loader does without a `collate` of its own.
 *
 * Numbers become i32, booleans bool, lists of numbers f32, arrays keep their dtype. Throws `shape` or `dtype` when the samples differ and `argument` for
 * what cannot be stacked; `indices` (the samples' numbers in their data set) are named in the message.
 */
export function stack(samples: readonly unknown[], dtypes: FieldTypes = {}, indices?: ArrayLike<number>): HostBatch {
  if (samples.length === 0) throw new GraftError("argument", "stack: there are no samples. Pass at least one.");
  const first = samples[0];
  const typeOf = (key: number | string): DType | undefined => (dtypes as Readonly<Record<string, DType | undefined>>)[key];
  if (Array.isArray(first)) return first.map((_, i) => stackField(samples.map((s) => (s as unknown[])[i]), `field ${i}`, typeOf(i), indices));
  if (!isRecord(first)) return [stackField(samples, "field 0", typeOf(0), indices)];
  const names = Object.keys(first);
  const named = (name: string): unknown[] => samples.map((sample) => (sample as Readonly<Record<string, unknown>>)[name]);
  return Object.fromEntries(names.map((name) => [name, stackField(named(name), `field "${name}"`, typeOf(name), indices)]));
}

const isRecord = (sample: unknown): sample is Readonly<Record<string, unknown>> =>
  typeof sample === "object" && sample !== null && !ArrayBuffer.isView(sample) && !("data" in sample && ("channels" in sample || "shape" in sample));

function stackField(values: readonly unknown[], name: string, dtype: DType | undefined, indices: ArrayLike<number> | undefined): HostArray {
  const where = (i: number): string => `sample ${indices?.[i] ?? i}, ${name}`;
  const first = toArray(values[0], where(0), dtype);
  const size = sizeOf(first.shape);
  const data = allocate(first.dtype, size * values.length);
  for (let i = 0; i < values.length; i++) {
    const item = i === 0 ? first : toArray(values[i], where(i), dtype);
    if (!sameShape(item.shape, first.shape)) {
      throw new GraftError(
        "shape",
        `loader: ${where(i)} is ${showShape(item.shape)}, ${where(0)} is ${showShape(first.shape)}. Bring all to one shape (resize, pad) or pass a collate function.`,
      );
    }
    if (item.dtype !== first.dtype) {
      throw new GraftError("dtype", `loader: ${where(i)} is ${item.dtype}, ${where(0)} is ${first.dtype}. Use one dtype, or set dtypes.`);
    }
    data.set(item.data, i * size);
  }
  return { dtype: first.dtype, shape: [values.length, ...first.shape], data };
}

/** A field as an array, converted to `wanted` where that is given. */
function toArray(field: unknown, where: string, wanted: DType | undefined): HostArray {
  if (typeof field === "number" || typeof field === "boolean") {
    const dtype = wanted ?? (typeof field === "boolean" ? "bool" : "i32");
    const value = Number(field);
    if (wanted === undefined && (value | 0) !== value) {
      throw new GraftError(
        "dtype",
        `loader: ${where} is ${value}; plain numbers are whole 32-bit labels. Use Float32Array.of(${value}), or say dtypes: [..., "f32"].`,
      );
    }
    const data = allocate(dtype, 1);
    data[0] = encode(dtype, value);
    return { dtype, shape: [], data };
  }
  const array = asArray(field, where);
  if (wanted === undefined || wanted === array.dtype) return array;
  if (array.dtype === "bf16" || array.dtype === "f16") {
    throw new GraftError("dtype", `loader: ${where} is ${array.dtype}, dtypes asks for ${wanted}. Cast the batch instead.`);
  }
  const data = allocate(wanted, array.data.length);
  for (let i = 0; i < data.length; i++) data[i] = encode(wanted, array.data[i]);
  return { ...array, dtype: wanted, data };
}

function asArray(field: unknown, where: string): HostArray {
  if (isImage(field)) return { dtype: "f32", shape: [field.channels, field.height, field.width], data: field.data };
  if (ArrayBuffer.isView(field)) return { dtype: typeOfArray(field, where), shape: [(field as Uint8Array).length], data: field as TypedArray };
  if (Array.isArray(field) && field.every((value) => typeof value === "number")) return { dtype: "f32", shape: [field.length], data: Float32Array.from(field) };
  if (typeof field === "object" && field !== null && "data" in field && "shape" in field && ArrayBuffer.isView(field.data)) {
    const { data, shape, dtype } = field as HostArray;
    return { data, shape, dtype: dtype ?? typeOfArray(data, where) };
  }
  const kind = field === undefined ? "missing" : field === null ? "null" : `a ${typeof field === "object" ? (field.constructor?.name ?? "object") : typeof field}`;
  throw new GraftError(
    "argument",
    `loader: ${where} is ${kind}, which cannot be stacked. Give numbers, typed arrays, { data, shape } or images, or pass a collate function.`,
  );
}

function typeOfArray(array: unknown, where: string): DType {
  if (array instanceof Float32Array) return "f32";
  if (array instanceof Float64Array) return "f64";
  if (array instanceof Int32Array) return "i32";
  if (array instanceof Uint8Array) return "u8";
  throw new GraftError(
    "dtype",
    `loader: ${where} is a ${(array as object).constructor.name} without a dtype. Use Float32Array, Float64Array, Int32Array or Uint8Array, or { data, shape, dtype }.`,
  );
}
