/** Wire types of protobuf. */
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/**
 * Collects the bytes of one protobuf message (https://protobuf.dev/programming-guides/encoding): fields in the order in which they are given, each by its number.
 * @example
 * const bytes = new ProtoWriter().int(1, 8).string(2, "graft").finish();
 */
export class ProtoWriter {
  private readonly bytes: number[] = [];

  /** The bytes of a whole number of up to 64 bits: seven at a time, the lowest first. Negative ones are written as 64 bits of two's complement. */
  private varint(value: number | bigint): void {
    if (typeof value === "number" && value >= 0 && value < 2 ** 31) {
      for (; value > 127; value >>>= 7) this.bytes.push((value & 127) | 128);
      this.bytes.push(value);
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) this.bytes.push(Number(rest & 127n) | 128);
    this.bytes.push(Number(rest));
  }

  private tag(field: number, type: (typeof wire)[keyof typeof wire]): void {
    this.varint(field * 8 + type);
  }

  /** A whole number. */
  int(field: number, value: number | bigint): this {
    this.tag(field, wire.varint);
    this.varint(value);
    return this;
  }

  /** A 32-bit float. */
  float(field: number, value: number): this {
    this.tag(field, wire.fixed32);
    this.bytes.push(...new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  /** A 64-bit float. */
  double(field: number, value: number): this {
    this.tag(field, wire.fixed64);
    this.bytes.push(...new Uint8Array(Float64Array.of(value).buffer));
    return this;
  }

  /** Text, as UTF-8. */
  string(field: number, value: string): this {
    return this.raw(field, new TextEncoder().encode(value));
  }

  /** A message within this one. */
  message(field: number, value: ProtoWriter): this {
    return this.raw(field, value.bytes);
  }

  /** Bytes as they are. */
  raw(field: number, value: ArrayLike<number>): this {
    this.header(field, value.length);
    for (let i = 0; i < value.length; i++) this.bytes.push(value[i]);
    return this;
  }

  /** What stands in front of `length` bytes that are written by somebody else, so that they need not be in memory. */
  header(field: number, length: number): this {
    this.tag(field, wire.bytes);
    this.varint(length);
    return this;
  }

  /** Number of bytes so far. */
  get length(): number {
    return this.bytes.length;
  }

  /** The bytes so far. */
  finish(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

/**
 * The fields of a protobuf message in their order: numbers of varints (exact up to 2^53), bytes of all others. Of bytes that are no message it gives something.
 * @example
 * protoFields(Buffer.from("089601", "hex")); // [[1, 150]]
 */
export function protoFields(bytes: Buffer): [field: number, value: number | Buffer][] {
  const found: [number, number | Buffer][] = [];
  let at = 0;
  const read = (): number => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (!(byte & 128)) return value;
      factor *= 128;
    }
  };
  while (at < bytes.length) {
    const key = read();
    const type = key & 7;
    if (type === wire.varint) found.push([key >> 3, read()]);
    else {
      const length = type === wire.fixed64 ? 8 : type === wire.fixed32 ? 4 : read();
      found.push([key >> 3, bytes.subarray(at, (at += length))]);
    }
  }
  return found;
}
