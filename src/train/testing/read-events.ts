import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

// A reader of TensorBoard's event files that shares no code with the writer: checksums bit by bit, messages through a DataView.

/** One number of an event file. */
export interface Scalar {
  readonly tag: string;
  readonly step: number;
  readonly value: number;
  readonly wallTime: number;
}

function checksum(bytes: Uint8Array): number {
  let remainder = 0xffffffffn;
  for (const byte of bytes) {
    remainder ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1n ? (remainder >> 1n) ^ 0x82f63b78n : remainder >> 1n;
  }
  const crc = remainder ^ 0xffffffffn;
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

type Message = Map<number, (bigint | Uint8Array)[]>;

function parse(bytes: Uint8Array): Message {
  const message: Message = new Map();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const size = { 1: 8, 5: 4 }[key & 7] ?? ((key & 7) === 2 ? Number(varint()) : undefined);
    const value = size === undefined ? varint() : bytes.subarray(at, (at += size));
    message.set(key >> 3, [...(message.get(key >> 3) ?? []), value]);
  }
  return message;
}

const view = (bytes: unknown): DataView => new DataView((bytes as Uint8Array).buffer, (bytes as Uint8Array).byteOffset);

/** The events of the one file in a folder. Throws where a length or a checksum is wrong. */
export function readEvents(dir: string): Message[] {
  const names = readdirSync(dir).filter((name) => name.includes("tfevents"));
  if (names.length !== 1) throw new Error(`there are ${names.length} event files`);
  const file = new Uint8Array(readFileSync(join(dir, names[0])));
  const events: Message[] = [];
  for (let at = 0; at < file.length; ) {
    const head = view(file.subarray(at, at + 12));
    const length = Number(head.getBigUint64(0, true));
    const body = file.subarray(at + 12, at + 12 + length);
    if (checksum(file.subarray(at, at + 8)) !== head.getUint32(8, true)) throw new Error(`checksum of the length at ${at}`);
    if (checksum(body) !== view(file.subarray(at + 12 + length)).getUint32(0, true)) throw new Error(`checksum at ${at}`);
    events.push(parse(body));
    at += length + 16;
  }
  return events;
}

/** The numbers of the one event file in a folder. */
export function readScalars(dir: string): Scalar[] {
  const [first, ...events] = readEvents(dir);
  if (Buffer.from(first.get(3)![0] as Uint8Array).toString() !== "brain.Event:2") throw new Error("the first event is not the file's version");
  return events.flatMap((event) =>
    (event.get(5) ?? []).flatMap((summary) =>
      parse(summary as Uint8Array).get(1)!.map((value): Scalar => {
        const fields = parse(value as Uint8Array);
        return {
          tag: Buffer.from(fields.get(1)![0] as Uint8Array).toString(),
          value: view(fields.get(2)![0]).getFloat32(0, true),
          step: Number(event.get(2)![0]),
          wallTime: view(event.get(1)![0]).getFloat64(0, true),
        };
      }),
    ),
  );
}
