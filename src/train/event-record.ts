import { protoFields, ProtoWriter } from "../io/index.js";
import { crc32c } from "./crc32c.js";

/** What an event holds: the version of the file, or numbers by their tags. */
export interface Event {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion?: string;
  readonly scalars?: readonly (readonly [tag: string, value: number])[];
}

/** TFRecord stores checksums turned by 15 bits and shifted, so that a checksum of data with checksums in them is none of theirs. */
const masked = (bytes: Uint8Array): number => {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
};

/** Bytes as a TFRecord: length [8], its checksum [4], the bytes, their checksum [4]; all little-endian. */
export function frame(bytes: Uint8Array): Buffer {
  const record = Buffer.alloc(bytes.length + 16);
  record.writeBigUInt64LE(BigInt(bytes.length), 0);
  record.writeUInt32LE(masked(record.subarray(0, 8)), 8);
  record.set(bytes, 12);
  record.writeUInt32LE(masked(bytes), bytes.length + 12);
  return record;
}

/** The bytes of a TFRecord that begins at `offset` and where the next one begins; undefined where it is cut off or damaged. */
export function unframe(file: Buffer, offset: number): { readonly bytes: Buffer; readonly next: number } | undefined {
  if (offset + 12 > file.length || file.readUInt32LE(offset + 8) !== masked(file.subarray(offset, offset + 8))) return undefined;
  const length = Number(file.readBigUInt64LE(offset));
  const next = offset + length + 16;
  if (next > file.length) return undefined;
  const bytes = file.subarray(offset + 12, next - 4);
  return file.readUInt32LE(next - 4) === masked(bytes) ? { bytes, next } : undefined;
}

/**
 * An event as TensorFlow's protobuf `Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }` with
 * `Summary { repeated Value value = 1; }` and `Value { string tag = 1; float simple_value = 2; }`.
 */
export function encodeEvent({ wallTime, step, fileVersion, scalars }: Event): Uint8Array {
  const event = new ProtoWriter().double(1, wallTime).int(2, step);
  if (fileVersion !== undefined) event.string(3, fileVersion);
  if (scalars !== undefined) {
    const summary = new ProtoWriter();
    for (const [tag, value] of scalars) summary.message(1, new ProtoWriter().string(1, tag).float(2, value));
    event.message(5, summary);
  }
  return event.finish();
}

/** Step and tags of an event that `encodeEvent` wrote. */
export function readEvent(bytes: Buffer): { readonly step: number; readonly tags: readonly string[] } {
  let step = 0;
  const tags: string[] = [];
  for (const [number, value] of protoFields(bytes)) {
    if (number === 2) step = value as number;
    if (number === 5) for (const [, entry] of protoFields(value as Buffer)) tags.push(String(protoFields(entry as Buffer)[0][1]));
  }
  return { step, tags };
}
