// A reader of ONNX files that shares nothing with the writer: protobuf's wire format, and the field numbers of onnx.proto.

type Field = number | bigint | Uint8Array;
type Message = ReadonlyMap<number, readonly Field[]>;

/** The fields of a message by number; throws where the bytes are no message. */
function decode(bytes: Uint8Array): Message {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      if (at >= bytes.length || shift > 63n) throw new Error(`a varint ends badly at byte ${at}`);
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asIntN(64, value);
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [field, wire] = [tag >> 3, tag & 7];
    let value: Field;
    if (wire === 0) value = varint();
    else if (wire === 5) {
      value = view.getFloat32(at, true);
      at += 4;
    } else if (wire === 2) {
      const length = Number(varint());
      if (length < 0 || at + length > bytes.length) throw new Error(`field ${field} of ${length} bytes at ${at} does not fit into ${bytes.length}`);
      value = bytes.subarray(at, (at += length));
    } else throw new Error(`field ${field} has the wire type ${wire}`);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

const messages = (message: Message, field: number): Message[] => (message.get(field) ?? []).map((value) => decode(value as Uint8Array));
const texts = (message: Message, field: number): string[] => (message.get(field) ?? []).map((value) => new TextDecoder("utf-8", { fatal: true }).decode(value as Uint8Array));
const numbers = (message: Message, field: number): number[] => (message.get(field) ?? []).map(Number);
const pairs = (message: Message, field: number): Record<string, string> => Object.fromEntries(messages(message, field).map((pair) => [texts(pair, 1)[0], texts(pair, 2)[0]]));

export interface ReadNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, number | string | readonly number[]>>;
}

export interface ReadConstant {
  readonly name: string;
  readonly type: number;
  readonly dims: readonly number[];
  readonly raw: Uint8Array | undefined;
  readonly external: Readonly<Record<string, string>>;
}

export interface ReadValue {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly (number | string)[];
}

export interface ReadModel {
  readonly irVersion: number;
  readonly opsets: readonly (readonly [domain: string, version: number])[];
  readonly producer: readonly [name: string, version: string];
  readonly metadata: Readonly<Record<string, string>>;
  readonly name: string;
  readonly nodes: readonly ReadNode[];
  readonly constants: readonly ReadConstant[];
  readonly inputs: readonly ReadValue[];
  readonly outputs: readonly ReadValue[];
}

function attribute(message: Message): readonly [string, number | string | readonly number[]] {
  const [name] = texts(message, 1);
  switch (Number(message.get(20)![0])) {
    case 1:
      return [name, numbers(message, 2)[0]];
    case 2:
      return [name, numbers(message, 3)[0]];
    case 3:
      return [name, texts(message, 4)[0]];
    case 7:
      return [name, numbers(message, 8)];
    default:
      throw new Error(`attribute ${name} has the type ${String(message.get(20)![0])}`);
  }
}

function value(message: Message): ReadValue {
  const [tensor] = messages(messages(message, 2)[0], 1);
  const dims = messages(tensor, 2).flatMap((shape) => messages(shape, 1));
  return { name: texts(message, 1)[0], type: numbers(tensor, 1)[0], shape: dims.map((dim) => texts(dim, 2)[0] ?? numbers(dim, 1)[0]) };
}

const node = (message: Message): ReadNode => ({
  name: texts(message, 3)[0],
  op: texts(message, 4)[0],
  inputs: texts(message, 1),
  outputs: texts(message, 2),
  attributes: Object.fromEntries(messages(message, 5).map(attribute)),
});

const constant = (message: Message): ReadConstant => ({
  name: texts(message, 8)[0],
  type: numbers(message, 2)[0],
  dims: numbers(message, 1),
  raw: message.get(9)?.[0] as Uint8Array | undefined,
  external: pairs(message, 13),
});

/** Reads the bytes of an ONNX file. */
export function readOnnx(bytes: Uint8Array): ReadModel {
  const model = decode(bytes);
  const [graph] = messages(model, 7);
  return {
    irVersion: numbers(model, 1)[0],
    opsets: messages(model, 8).map((set) => [texts(set, 1)[0], numbers(set, 2)[0]] as const),
    producer: [texts(model, 2)[0], texts(model, 3)[0]],
    metadata: pairs(model, 14),
    name: texts(graph, 2)[0],
    nodes: messages(graph, 1).map(node),
    constants: messages(graph, 5).map(constant),
    inputs: messages(graph, 11).map(value),
    outputs: messages(graph, 12).map(value),
  };
}
