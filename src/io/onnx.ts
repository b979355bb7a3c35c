import { basename } from "node:path";
import { GraftError } from "../base/index.js";
import { bytesPerElement, sizeOf, type DType, type Shape } from "../graph/index.js";
import { writeFileAtomic, type Write } from "./atomic.js";
import { bytesOf, toHost, type TensorSource } from "./host.js";
import { ProtoWriter } from "./protobuf.js";

/** Element types of ONNX: Graft's, and 64-bit integers, which shapes and token ids are. */
export type OnnxType = DType | "i64";

/** An attribute of a node with its type in the file. */
export type OnnxAttribute =
  | { readonly type: "int" | "float"; readonly value: number }
  | { readonly type: "ints"; readonly value: readonly number[] }
  | { readonly type: "string"; readonly value: string };

/** One operation: names of what it reads ("" for an input that is left out) and of what it makes. */
export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** A value that the graph takes or gives; dims are sizes, or names of sizes that are free. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly (number | string)[];
}

/** A constant of the graph: a tensor, or a list of 64-bit integers. */
export type OnnxConstant = TensorSource | { readonly dtype: "i64"; readonly shape: Shape; readonly data: BigInt64Array };

/** What an ONNX file holds: one graph. */
export interface OnnxModel {
  readonly name: string;
  /** In an order in which each node's inputs were made before. */
  readonly nodes: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxConstant>;
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Version of the operators. */
  readonly opset: number;
  readonly producer: { readonly name: string; readonly version: string };
  /** Shown to users of the file. */
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Options of {@link writeOnnx}. */
export interface WriteOnnxOptions {
  /** Weights go to a second file, NAME.data beside it. Default: only where one file would be larger than the 2 GiB that the format can hold. */
  readonly externalData?: boolean;
}

const irVersion = 8; // of ONNX 1.12, which brought opset 17
/** Codes of element types, in the file and in the attribute of Cast. */
export const onnxTypeCodes: Readonly<Record<OnnxType, number>> = { f32: 1, u8: 2, i32: 6, i64: 7, bool: 9, f16: 10, f64: 11, bf16: 16 };
const attributeCodes = { float: 1, int: 2, string: 3, ints: 7 } as const;
/** A protobuf message holds 2 GiB; some of it is not weights. */
const largest = 2 ** 31 - 2 ** 24;
/** Smaller constants stay in the graph: shapes are needed to read it. */
const leastExternal = 1024;
const page = 4096; // so that readers can map a tensor into memory

const byteCount = ({ dtype, shape }: OnnxConstant): number => sizeOf(shape) * (dtype === "i64" ? 8 : bytesPerElement(dtype));

/** Bytes that constants take. */
export const onnxBytes = (constants: OnnxModel["constants"]): number => [...constants.values()].reduce((sum, constant) => sum + byteCount(constant), 0);

function attributeOf(name: string, attribute: OnnxAttribute): ProtoWriter {
  const proto = new ProtoWriter().string(1, name);
  if (attribute.type === "ints") for (const n of attribute.value) proto.int(8, n);
  else if (attribute.type === "string") proto.string(4, attribute.value);
  else if (attribute.type === "int") proto.int(3, attribute.value);
  else proto.float(2, attribute.value);
  return proto.int(20, attributeCodes[attribute.type]);
}

function nodeOf({ name, op, inputs, outputs, attributes = {} }: OnnxNode): ProtoWriter {
  const proto = new ProtoWriter();
  for (const input of inputs) proto.string(1, input);
  for (const output of outputs) proto.string(2, output);
  proto.string(3, name).string(4, op);
  for (const [key, attribute] of Object.entries(attributes)) proto.message(5, attributeOf(key, attribute));
  return proto;
}

function infoOf({ name, type, shape }: OnnxValueInfo): ProtoWriter {
  const dims = new ProtoWriter();
  for (const size of shape) dims.message(1, typeof size === "number" ? new ProtoWriter().int(1, size) : new ProtoWriter().string(2, size));
  const tensor = new ProtoWriter().int(1, onnxTypeCodes[type]).message(2, dims);
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, tensor));
}

const pairOf = (key: string, value: string): ProtoWriter => new ProtoWriter().string(1, key).string(2, value);

/** Where a constant lies in the second file. */
interface Place {
  readonly file: string;
  readonly offset: number;
}

/** A TensorProto, but for its bytes where they are in this file: those come behind it. */
function constantOf(name: string, constant: OnnxConstant, place: Place | undefined): ProtoWriter {
  const proto = new ProtoWriter();
  for (const size of constant.shape) proto.int(1, size);
  proto.int(2, onnxTypeCodes[constant.dtype]).string(8, name);
  if (place === undefined) return proto.header(9, byteCount(constant));
  const where = { location: place.file, offset: String(place.offset), length: String(byteCount(constant)) };
  for (const [key, value] of Object.entries(where)) proto.message(13, pairOf(key, value));
  return proto.int(14, 1);
}

async function bytesOfConstant(file: string, name: string, constant: OnnxConstant): Promise<Uint8Array> {
  if (constant.dtype === "i64") return new Uint8Array(constant.data.buffer, constant.data.byteOffset, constant.data.byteLength);
  return bytesOf((await toHost(`onnx: ${file}: ${name}`, constant)).data);
}

/** Places for the constants that go to the second file, each at the beginning of a page. */
function placesOf({ constants }: OnnxModel, file: string): Map<string, Place> {
  const places = new Map<string, Place>();
  let offset = 0;
  for (const [name, constant] of constants) {
    if (byteCount(constant) < leastExternal) continue;
    places.set(name, { file, offset });
    offset = Math.ceil((offset + byteCount(constant)) / page) * page;
  }
  return places;
}

async function writeExternal(file: string, write: Write, { constants }: OnnxModel, places: ReadonlyMap<string, Place>): Promise<void> {
  let at = 0;
  for (const [name, { offset }] of places) {
    if (offset > at) await write(new Uint8Array(offset - at));
    const bytes = await bytesOfConstant(file, name, constants.get(name)!);
    await write(bytes);
    at = offset + bytes.length;
  }
}

async function writeModel(file: string, write: Write, model: OnnxModel, places: ReadonlyMap<string, Place>): Promise<void> {
  const { name: graphName, nodes, constants, inputs, outputs, opset, producer, description, metadata = {} } = model;
  const before = new ProtoWriter();
  for (const node of nodes) before.message(1, nodeOf(node));
  before.string(2, graphName);
  const after = new ProtoWriter();
  for (const input of inputs) after.message(11, infoOf(input));
  for (const output of outputs) after.message(12, infoOf(output));

  const entries = [...constants].map(([name, constant]) => {
    const proto = constantOf(name, constant, places.get(name));
    const inline = places.has(name) ? 0 : byteCount(constant);
    return { name, constant, inline, bytes: new ProtoWriter().header(5, proto.length + inline).finish(), proto: proto.finish() };
  });
  const graphSize = before.length + entries.reduce((sum, { bytes, proto, inline }) => sum + bytes.length + proto.length + inline, 0) + after.length;

  const head = new ProtoWriter().int(1, irVersion).string(2, producer.name).string(3, producer.version);
  if (description !== undefined) head.string(6, description);
  head.message(8, new ProtoWriter().string(1, "").int(2, opset));
  for (const [key, value] of Object.entries(metadata)) head.message(14, pairOf(key, value));
  await write(head.header(7, graphSize).finish());
  await write(before.finish());
  for (const { name, constant, inline, bytes, proto } of entries) {
    await write(bytes);
    await write(proto);
    if (inline > 0) await write(await bytesOfConstant(file, name, constant));
  }
  await write(after.finish());
}

/**
 * Writes an ONNX file, atomically. Weights are asked for one at a time; with `externalData`, or where one file would pass 2 GiB, they go to a second file, NAME.data, which
 * belongs beside the first. Returns the files that were written.
 *
 * Throws `file` when a file cannot be written, `argument` for a graph that is too large without its weights.
 * @example
 * await writeOnnx("twice.onnx", { name: "twice", opset: 17, producer: { name: "me", version: "1" }, constants: new Map(),
 *   inputs: [{ name: "x", type: "f32", shape: ["n"] }], outputs: [{ name: "y", type: "f32", shape: ["n"] }],
 *   nodes: [{ name: "add", op: "Add", inputs: ["x", "x"], outputs: ["y"] }] });
 */
export async function writeOnnx(file: string, model: OnnxModel, { externalData }: WriteOnnxOptions = {}): Promise<string[]> {
  const total = onnxBytes(model.constants);
  const external = externalData ?? total > largest;
  if (!external && total > largest) throw new GraftError("argument", `onnx: ${file}: ${total} bytes of weights do not fit into one file, which holds 2 GiB. Leave externalData out.`);
  const data = `${file}.data`;
  const places = external ? placesOf(model, basename(data)) : new Map<string, Place>();
  if (places.size > 0) await writeFileAtomic(data, (write) => writeExternal(data, write, model, places));
  await writeFileAtomic(file, (write) => writeModel(file, write, model, places));
  return places.size > 0 ? [file, data] : [file];
}
