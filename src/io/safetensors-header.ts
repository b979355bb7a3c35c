import { GraftError } from "../base/index.js";
import type { DType, Shape } from "../graph/index.js";
import { isJsonObject, isReservedName, parseJson, shorten, type Json } from "./json.js";
import type { ByteSource } from "./source.js";

/** Element types as a safetensors file names them. Only those with a Graft dtype are read; 8-, 16- and 64-bit integers become i32. */
export const storedTypes = {
  F64: { bytes: 8, dtype: "f64" },
  F32: { bytes: 4, dtype: "f32" },
  F16: { bytes: 2, dtype: "f16" },
  BF16: { bytes: 2, dtype: "bf16" },
  I64: { bytes: 8, dtype: "i32" },
  I32: { bytes: 4, dtype: "i32" },
  I16: { bytes: 2, dtype: "i32" },
  I8: { bytes: 1, dtype: "i32" },
  U8: { bytes: 1, dtype: "u8" },
  BOOL: { bytes: 1, dtype: "bool" },
} as const satisfies Record<string, { bytes: number; dtype: DType }>;

/** An element type in a safetensors file, e.g. `"BF16"`. */
export type StoredType = keyof typeof storedTypes;

/** One tensor of a header: its types, its shape and where it lies, in bytes from the start of the file. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly stored: StoredType;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly begin: number;
  readonly end: number;
}

/** The header of a safetensors file. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
}

/** The reference implementation's limit; a longer header is an attack or another kind of file. */
const maxHeaderBytes = 100_000_000;

/**
 * Reads and checks the header: 8 bytes of length, then JSON, then the tensors without holes or overlaps.
 *
 * Throws `format` (naming the file and the tensor) for anything that the format does not allow, `file` for a file that cannot be read.
 * Format: https://github.com/huggingface/safetensors#format
 */
export async function readHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const { name, size } = source;
  if (size < 8) throw broken(name, `is ${size} bytes long, a header alone takes 8`);
  const length = new DataView((await source.read(0, 8)).buffer).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) throw broken(name, `its header claims ${length} bytes, at most ${maxHeaderBytes} are allowed`);
  const headerBytes = Number(length);
  if (headerBytes > size - 8) throw broken(name, `its header claims ${headerBytes} bytes, the file has ${size - 8} after the length`);

  const bytes = await source.read(8, headerBytes);
  if (bytes[0] !== 0x7b) throw broken(name, `its header does not start with "{"`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw broken(name, "its header is not UTF-8");
  }
  return checkHeader(name, parseJson(`safetensors: ${name}: header`, text), 8 + headerBytes, size);
}

function checkHeader(file: string, json: Json, dataStart: number, size: number): SafetensorsHeader {
  if (!isJsonObject(json)) throw broken(file, "its header is not an object");
  let metadata: Record<string, string> = {};
  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = checkMetadata(file, value);
    else entries.push(checkEntry(file, name, value, dataStart, size));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let expected = dataStart;
  for (const [i, { name, begin, end }] of entries.entries()) {
    if (begin < expected) throw brokenTensor(file, name, `overlaps "${shorten(entries[i - 1].name)}": starts at byte ${begin}, the other ends at ${expected}`);
    if (begin > expected) throw brokenTensor(file, name, `starts at byte ${begin} of the file, ${begin - expected} bytes before it belong to no tensor`);
    expected = end;
  }
  if (expected !== size) throw broken(file, `${size - expected} bytes at its end belong to no tensor`);
  return { metadata, tensors: new Map(entries.map((entry) => [entry.name, entry])) };
}

function checkMetadata(file: string, value: Json): Record<string, string> {
  if (!isJsonObject(value)) throw broken(file, "__metadata__ is not an object");
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw broken(file, `__metadata__ "${shorten(key)}" is not text`);
  }
  return Object.fromEntries(Object.entries(value)) as Record<string, string>;
}

function checkEntry(file: string, name: string, value: Json, dataStart: number, size: number): SafetensorsEntry {
  const bad = (problem: string): GraftError => brokenTensor(file, name, problem);
  if (name === "" || isReservedName(name)) throw bad("has a name that is not allowed");
  if (!isJsonObject(value)) throw bad("its description is not an object");
  const extra = Object.keys(value).find((key) => key !== "dtype" && key !== "shape" && key !== "data_offsets");
  if (extra !== undefined) throw bad(`has an unknown property "${shorten(extra)}"`);
  const stored = value.dtype;
  if (typeof stored !== "string") throw bad("has no dtype");
  if (!isStoredType(stored)) throw bad(`has dtype ${shorten(stored)}, which Graft does not read (it reads ${Object.keys(storedTypes).join(", ")})`);

  const shape = sizesOf(value.shape);
  if (shape === undefined) throw bad("its shape is not a list of whole numbers of 0 or more");
  const offsets = sizesOf(value.data_offsets);
  if (offsets?.length !== 2) throw bad("its data_offsets are not two whole numbers of 0 or more");
  const [begin, end] = offsets;
  if (begin > end) throw bad(`ends (${end}) before it starts (${begin})`);
  if (end > size - dataStart) throw bad(`ends at data byte ${end}, the file has ${size - dataStart}: it is truncated or its header lies`);
  // The product is exact: it is compared with a size below 2^53, and a product beyond 2^53 stays beyond it, unless a 0 ends it.
  const needed = shape.includes(0) ? 0 : shape.reduce((product, n) => product * n, storedTypes[stored].bytes);
  if (needed !== end - begin) throw bad(`${stored} [${shorten(shape.join(", "))}] takes ${needed} bytes, the header gives it ${end - begin}`);
  return { name, stored, dtype: storedTypes[stored].dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

const isStoredType = (name: string): name is StoredType => Object.hasOwn(storedTypes, name);

function sizesOf(value: Json | undefined): number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const list = value as readonly Json[];
  return list.every((n) => typeof n === "number" && Number.isSafeInteger(n) && n >= 0) ? (list as number[]) : undefined;
}

/** A `GraftError` about a safetensors file as a whole. */
export const broken = (file: string, problem: string): GraftError =>
  new GraftError("format", `safetensors: ${file}: ${problem}. Download or write the file again.`);

/** A `GraftError` about one tensor of a safetensors file. */
export const brokenTensor = (file: string, name: string, problem: string): GraftError =>
  new GraftError("format", `safetensors: ${file}: tensor "${shorten(name)}" ${problem}. Download or write the file again.`);
