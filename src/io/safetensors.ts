import { GraftError, didYouMean } from "../base/index.js";
import { viewBytes, type DType } from "../graph/index.js";
import { writeFileAtomic, type Write } from "./atomic.js";
import { bytesOf, toHost, type HostTensor, type TensorSource } from "./host.js";
import { isReservedName, shorten } from "./json.js";
import { brokenTensor, readHeader, storedTypes, type SafetensorsEntry, type SafetensorsHeader, type StoredType } from "./safetensors-header.js";
import { fileSource, memorySource, using, type ByteSource } from "./source.js";

/** Tensors by name, from an object or a map. */
export type NamedTensors = ReadonlyMap<string, TensorSource> | Readonly<Record<string, TensorSource>>;

/** Options of the safetensors writers. */
export interface WriteOptions {
  /** Free text by name, kept in the header (`__metadata__`). */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Reads all tensors of a safetensors file.
 *
 * Integers of 8, 16 and 64 bits become i32. Throws `file` when it cannot be read, `format` (with file and tensor) when it is not a
 * valid file; nothing is returned unless everything is right.
 *
 * @example
 * const weights = await readSafetensors("model.safetensors");
 * weights.get("fc1.weight")?.shape; // [128, 2048]
 */
export async function readSafetensors(file: string): Promise<Map<string, HostTensor>> {
  return using(await fileSource(file), readAll);
}

/** Reads names, dtypes, shapes and metadata only. Throws as `readSafetensors`. */
export async function readSafetensorsHeader(file: string): Promise<SafetensorsHeader> {
  return using(await fileSource(file), readHeader);
}

/**
 * Reads one tensor without touching the rest of the file.
 *
 * Throws as `readSafetensors`, and `state` when the file has no such tensor.
 *
 * @example
 * const { data } = await readSafetensorsTensor("model.safetensors", "fc1.bias");
 */
export async function readSafetensorsTensor(file: string, name: string): Promise<HostTensor> {
  return using(await fileSource(file), async (source) => {
    const { tensors } = await readHeader(source);
    const entry = tensors.get(name);
    if (entry === undefined) throw new GraftError("state", `safetensors: ${file}: has no tensor "${shorten(name)}".${didYouMean(name, tensors.keys())}`);
    return readEntry(source, entry);
  });
}

/** Reads all tensors from the bytes of a safetensors file; `name` is shown in errors. Throws as `readSafetensors`. */
export function decodeSafetensors(bytes: Uint8Array, name = "bytes"): Promise<Map<string, HostTensor>> {
  return readAll(memorySource(name, bytes));
}

/**
 * Writes a safetensors file, atomically: a reader sees the old file or the whole new one.
 *
 * The layout is the reference implementation's: widest elements first, then by name, data from a multiple of 8 bytes. Tensors are
 * asked for their values one at a time. Throws `file` when the file cannot be written (the old one is then untouched).
 *
 * @example
 * await writeSafetensors("model.safetensors", { "fc.weight": model.fc.weight }, { metadata: { format: "pt" } });
 */
export async function writeSafetensors(file: string, tensors: NamedTensors, options: WriteOptions = {}): Promise<void> {
  await writeFileAtomic(file, (write) => writeTo(file, write, tensors, options));
}

/** The bytes of a safetensors file. */
export async function encodeSafetensors(tensors: NamedTensors, options: WriteOptions = {}): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const collect: Write = (bytes) => {
    pieces.push(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    return Promise.resolve();
  };
  await writeTo("bytes", collect, tensors, options);
  return new Uint8Array(Buffer.concat(pieces));
}

async function readAll(source: ByteSource): Promise<Map<string, HostTensor>> {
  const { tensors } = await readHeader(source);
  const result = new Map<string, HostTensor>();
  for (const entry of tensors.values()) result.set(entry.name, await readEntry(source, entry));
  return result;
}

async function readEntry(source: ByteSource, entry: SafetensorsEntry): Promise<HostTensor> {
  const { name, stored, dtype, shape, begin, end } = entry;
  const bytes = await source.read(begin, end - begin);
  const bad = (problem: string): GraftError => brokenTensor(source.name, name, problem);
  switch (stored) {
    case "I64":
      return { dtype, shape, data: narrow(new BigInt64Array(bytes.buffer), bad) };
    case "I16":
      return { dtype, shape, data: Int32Array.from(new Int16Array(bytes.buffer)) };
    case "I8":
      return { dtype, shape, data: Int32Array.from(new Int8Array(bytes.buffer)) };
    case "BOOL": {
      const wrong = bytes.findIndex((byte) => byte > 1);
      if (wrong >= 0) throw bad(`has ${bytes[wrong]} as element ${wrong}, a bool is 0 or 1`);
      return { dtype, shape, data: bytes };
    }
    default:
      return { dtype, shape, data: viewBytes(dtype, bytes.buffer, 0, bytes.byteLength / storedTypes[stored].bytes) };
  }
}

function narrow(values: BigInt64Array, bad: (problem: string) => GraftError): Int32Array {
  const result = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value < -0x80000000n || value > 0x7fffffffn) throw bad(`has ${value} as element ${i}, which does not fit i32`);
    result[i] = Number(value);
  }
  return result;
}

const storedNames: Record<DType, StoredType> = { f64: "F64", f32: "F32", i32: "I32", bf16: "BF16", f16: "F16", u8: "U8", bool: "BOOL" };

/** The reference implementation's order of dtypes, which puts wider elements first and so keeps every tensor aligned. */
const order: readonly DType[] = ["f64", "f32", "i32", "bf16", "f16", "u8", "bool"];

/** Half of a character: such text has no UTF-8 form. */
const loneSurrogate = /\p{Surrogate}/u;

/** The entries of a safetensors file in the order in which they are written. */
export function inFileOrder(tensors: NamedTensors): [string, TensorSource][] {
  const entries: [string, TensorSource][] = tensors instanceof Map ? [...(tensors as ReadonlyMap<string, TensorSource>)] : Object.entries(tensors);
  for (const [name] of entries) {
    if (name === "" || name === "__metadata__" || isReservedName(name) || loneSurrogate.test(name)) {
      throw new GraftError("argument", `safetensors: "${shorten(name)}" is not a name for a tensor. Rename it.`);
    }
  }
  return entries.sort(([a, x], [b, y]) => order.indexOf(x.dtype) - order.indexOf(y.dtype) || Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** Bytes that a tensor takes in a safetensors file. */
export const storedBytes = ({ dtype, shape }: TensorSource): number => shape.reduce((product, n) => product * n, storedTypes[storedNames[dtype]].bytes);

async function writeTo(file: string, write: Write, tensors: NamedTensors, { metadata }: WriteOptions): Promise<void> {
  const entries = inFileOrder(tensors);
  const fields: string[] = [];
  for (const [key, text] of Object.entries(metadata ?? {})) {
    if (isReservedName(key) || typeof text !== "string") throw new GraftError("argument", `safetensors: ${file}: metadata "${shorten(key)}" must be text under an ordinary name. Change it.`);
  }
  if (metadata !== undefined && Object.keys(metadata).length > 0) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let offset = 0;
  for (const [name, source] of entries) {
    const end = offset + storedBytes(source);
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype: storedNames[source.dtype], shape: source.shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  const text = new TextEncoder().encode(`{${fields.join(",")}}`);
  const header = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20); // padded with spaces, as the format asks
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(text, 8);
  await write(header);
  for (const [name, source] of entries) await write(bytesOf((await toHost(`safetensors: ${file}: ${name}`, source)).data));
}
