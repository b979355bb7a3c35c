import { GraftError } from "../base/index.js";
import { fromBf16, fromF16, showShape, sizeOf, type Shape } from "../graph/index.js";
import { writeFileAtomic } from "./atomic.js";
import { ggufLayouts, packGguf, unpackGguf, type GgufType } from "./gguf-blocks.js";
import { GgufDecoder, GgufEncoder, NeedsMore, type GgufValue } from "./gguf-values.js";
import { toHost, type HostTensor, type TensorSource } from "./host.js";
import { shorten } from "./json.js";
import { fileSource, memorySource, using, type ByteSource } from "./source.js";

/** A tensor to be written, with the type it is stored in. */
export interface GgufTensor {
  readonly source: TensorSource;
  readonly type: GgufType;
}

/** A tensor of a file: its values as f32, and how they were stored. */
export interface ReadGgufTensor extends HostTensor {
  readonly dtype: "f32";
  readonly data: Float32Array;
  readonly stored: GgufType;
}

/** The content of a GGUF file. */
export interface GgufContent {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, ReadGgufTensor>;
}

const magic = 0x46554747; // "GGUF"
const version = 3;
const defaultAlignment = 32;
const mostDims = 4;
const aligned = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment;
const bytesOfType = (type: GgufType, shape: Shape): number => (sizeOf(shape) / ggufLayouts[type].block) * ggufLayouts[type].bytes;

/** Floats of any width as f32. */
function toFloats({ dtype, data }: HostTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (dtype === "f16" || dtype === "bf16") return Float32Array.from(data, dtype === "f16" ? fromF16 : fromBf16);
  return Float32Array.from(data);
}

/**
 * Writes a GGUF file (version 3, little-endian, tensors at multiples of 32 bytes), atomically. Shapes are in PyTorch's order, rows last; the file lists them
 * the other way round.
 *
 * Throws `argument` for names and values that the format does not hold, `shape` for rows that are no whole number of blocks, `file` when it cannot be written.
 * @example
 * await writeGguf("model.gguf", new Map([["general.architecture", { type: "string", value: "llama" }]]), new Map([["token_embd.weight", { source: weight, type: "q8_0" }]]));
 */
export async function writeGguf(file: string, metadata: ReadonlyMap<string, GgufValue>, tensors: ReadonlyMap<string, GgufTensor>): Promise<void> {
  const header = new GgufEncoder();
  header.u32(magic);
  header.u32(version);
  header.u64(tensors.size);
  header.u64(metadata.size);
  for (const [key, value] of metadata) {
    if (key === "general.alignment") throw new GraftError("argument", "gguf: general.alignment is not free to choose, it is 32. Leave it out.");
    header.string(key);
    header.value(key, value);
  }
  let offset = 0;
  for (const [name, { source, type }] of tensors) {
    const { shape } = source;
    const { block, code } = ggufLayouts[type];
    if (Buffer.byteLength(name) > 63) throw new GraftError("argument", `gguf: "${shorten(name)}" is longer than the 63 bytes that a tensor's name may have. Rename it.`);
    if (shape.length > mostDims || sizeOf(shape) === 0) throw new GraftError("shape", `gguf: ${name} is ${showShape(shape)}. A tensor has 1 to ${mostDims} dims, none of them 0.`);
    if ((shape.at(-1) ?? 1) % block !== 0) throw new GraftError("shape", `gguf: ${name} ${showShape(shape)}: rows of ${type} are multiples of ${block} values. Store it as f16.`);
    const dims = shape.length === 0 ? [1] : [...shape].reverse();
    header.string(name);
    header.u32(dims.length);
    for (const n of dims) header.u64(n);
    header.u32(code);
    header.u64(offset);
    offset = aligned(offset + bytesOfType(type, shape), defaultAlignment);
  }
  header.align(defaultAlignment);
  await writeFileAtomic(file, async (write) => {
    await write(header.finish());
    for (const [name, { source, type }] of tensors) {
      const bytes = packGguf(type, toFloats(await toHost(`gguf: ${file}: ${name}`, source)));
      await write(bytes);
      const rest = aligned(bytes.length, defaultAlignment) - bytes.length;
      if (rest > 0) await write(new Uint8Array(rest));
    }
  });
}

/**
 * Reads a GGUF file (versions 2 and 3): its metadata, and its tensors as f32. Throws `file` when it cannot be read, `format` when it is damaged or holds tensors
 * of another type than f32, f16, bf16, q8_0 and q4_0.
 * @example
 * const { metadata, tensors } = await readGguf("model.gguf");
 * metadata.get("general.architecture")?.value; // "llama"
 */
export async function readGguf(file: string): Promise<GgufContent> {
  return using(await fileSource(file), readAll);
}

/** Reads the bytes of a GGUF file; `name` is shown in errors. Throws as `readGguf`. */
export function decodeGguf(bytes: Uint8Array, name = "bytes"): Promise<GgufContent> {
  return readAll(memorySource(name, bytes));
}

interface Entry {
  readonly name: string;
  readonly shape: Shape;
  readonly type: GgufType;
  readonly begin: number;
  readonly bytes: number;
}

/** The header is of unknown length: it is parsed from ever longer beginnings of the file. */
async function readAll(source: ByteSource): Promise<GgufContent> {
  for (let length = 1 << 20; ; length *= 4) {
    const bytes = await source.read(0, Math.min(length, source.size));
    try {
      const { metadata, entries } = parseHeader(new GgufDecoder(source.name, bytes, source.size), source.size);
      const tensors = new Map<string, ReadGgufTensor>();
      for (const { name, shape, type, begin, bytes: count } of entries) {
        tensors.set(name, { dtype: "f32", shape, stored: type, data: unpackGguf(type, await source.read(begin, count)) });
      }
      return { metadata, tensors };
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
    }
  }
}

function parseHeader(input: GgufDecoder, size: number): { metadata: Map<string, GgufValue>; entries: Entry[] } {
  if (input.u32() !== magic) throw input.bad("does not begin with GGUF");
  const found = input.u32();
  if (found !== 2 && found !== 3) throw input.bad(`has the version ${found}, this reads 2 and 3`);
  const tensorCount = input.count("tensors", 24);
  const pairs = input.count("metadata", 13);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairs; i++) {
    const key = input.string("a metadata key");
    if (metadata.has(key)) throw input.bad(`the metadata key "${shorten(key)}" appears twice`);
    metadata.set(key, input.value(key));
  }
  const alignment = metadata.get("general.alignment")?.value ?? defaultAlignment;
  if (typeof alignment !== "number" || !Number.isInteger(alignment) || alignment < 8 || alignment % 8 !== 0) throw input.bad(`general.alignment is ${String(alignment)}, not a multiple of 8`);
  const infos = Array.from({ length: tensorCount }, () => parseTensor(input));
  const data = aligned(input.at, alignment);
  const seen = new Set<string>();
  const entries = infos.map(({ name, shape, type, offset }) => {
    const bytes = bytesOfType(type, shape);
    if (seen.has(name)) throw input.bad(`the tensor "${shorten(name)}" appears twice`);
    seen.add(name);
    if (offset % BigInt(alignment) !== 0n) throw input.bad(`the tensor "${shorten(name)}" begins at ${offset}, not at a multiple of ${alignment}`);
    if (offset > BigInt(size) || data + Number(offset) + bytes > size) throw input.bad(`the tensor "${shorten(name)}" ends behind the file's ${size} bytes`);
    return { name, shape, type, begin: data + Number(offset), bytes };
  });
  const order = [...entries].sort((a, b) => a.begin - b.begin);
  const overlap = order.findIndex(({ begin }, i) => i > 0 && begin < order[i - 1].begin + order[i - 1].bytes);
  if (overlap > 0) throw input.bad(`the tensors "${shorten(order[overlap - 1].name)}" and "${shorten(order[overlap].name)}" overlap`); // else a small file could ask for any amount of memory
  return { metadata, entries };
}

function parseTensor(input: GgufDecoder): { name: string; shape: Shape; type: GgufType; offset: bigint } {
  const name = input.string("a tensor's name");
  const rank = input.u32();
  if (rank < 1 || rank > mostDims) throw input.bad(`the tensor "${shorten(name)}" has ${rank} dims`);
  const dims = Array.from({ length: rank }, () => input.u64());
  const code = input.u32();
  const type = (Object.keys(ggufLayouts) as GgufType[]).find((known) => ggufLayouts[known].code === code);
  if (type === undefined) throw new GraftError("format", `gguf: the tensor "${shorten(name)}" is stored as type ${code}. This reads ${Object.keys(ggufLayouts).join(", ")}: convert the file.`);
  const elements = dims.reduce((product, n) => product * n, 1n);
  if (elements === 0n || elements > BigInt(Number.MAX_SAFE_INTEGER) || dims[0] % BigInt(ggufLayouts[type].block) !== 0n) throw input.bad(`the tensor "${shorten(name)}" has the shape [${dims.reverse().join(", ")}] as ${type}`);
  return { name, shape: dims.map(Number).reverse(), type, offset: input.u64() };
}
