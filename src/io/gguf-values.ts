import { GraftError } from "../base/index.js";
import { shorten } from "./json.js";

/** Kinds of metadata values, at their numbers in the file. */
const kinds = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"] as const;
type Kind = (typeof kinds)[number];

/** A metadata value with its type in the file; 64-bit integers are bigints. */
export type GgufValue =
  | { readonly type: "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64"; readonly value: number }
  | { readonly type: "u64" | "i64"; readonly value: bigint }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | GgufArray;

/** A list of values of one type. */
export interface GgufArray {
  readonly type: "array";
  readonly of: Kind;
  readonly value: readonly (number | bigint | boolean | string | GgufArray)[];
}

const widths: Readonly<Record<Kind, number>> = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, bool: 1, string: 8, array: 12, u64: 8, i64: 8, f64: 8 };

const limits: Readonly<Record<string, readonly [number, number]>> = {
  u8: [0, 0xff],
  i8: [-0x80, 0x7f],
  u16: [0, 0xffff],
  i16: [-0x8000, 0x7fff],
  u32: [0, 0xffffffff],
  i32: [-0x80000000, 0x7fffffff],
};

const javascriptTypes: Readonly<Record<string, string>> = { f32: "number", f64: "number", u64: "bigint", i64: "bigint", bool: "boolean", string: "string", array: "object" };

/** Collects the bytes of a header. */
export class GgufEncoder {
  private bytes = new Uint8Array(1 << 12);
  private view = new DataView(this.bytes.buffer);
  private length = 0;

  /** Place for `count` more bytes; returns where they go. */
  private room(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.bytes.length, this.length));
      grown.set(this.bytes);
      [this.bytes, this.view] = [grown, new DataView(grown.buffer)];
    }
    return at;
  }

  u32(value: number): void {
    const at = this.room(4); // first: it may replace the view
    this.view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.room(8);
    this.view.setBigUint64(at, BigInt(value), true);
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** A value with its type in front. Throws `argument` when it does not fit. */
  value(key: string, value: GgufValue): void {
    this.u32(kinds.indexOf(value.type));
    this.plain(key, value.type, value);
  }

  private plain(key: string, type: Kind, given: GgufValue): void {
    const { value } = given;
    const range = limits[type];
    const fits = range === undefined ? typeof value === javascriptTypes[type] : Number.isInteger(value) && (value as number) >= range[0] && (value as number) <= range[1];
    if (!fits) throw new GraftError("argument", `gguf: ${shorten(key)} is ${String(value)}, which is no ${type}. Give a value of that type.`);
    if (given.type === "array") {
      const { of } = given;
      this.u32(kinds.indexOf(of));
      this.u64(given.value.length);
      for (const item of given.value) this.plain(key, of, of === "array" ? (item as GgufArray) : ({ type: of, value: item } as GgufValue));
      return;
    }
    if (type === "string") return this.string(value as string);
    const at = this.room(widths[type]);
    switch (type) {
      case "u8":
        return this.view.setUint8(at, value as number);
      case "i8":
        return this.view.setInt8(at, value as number);
      case "u16":
        return this.view.setUint16(at, value as number, true);
      case "i16":
        return this.view.setInt16(at, value as number, true);
      case "u32":
        return this.view.setUint32(at, value as number, true);
      case "i32":
        return this.view.setInt32(at, value as number, true);
      case "f32":
        return this.view.setFloat32(at, value as number, true);
      case "f64":
        return this.view.setFloat64(at, value as number, true);
      case "u64":
        return this.view.setBigUint64(at, value as bigint, true);
      case "i64":
        return this.view.setBigInt64(at, value as bigint, true);
      default:
        return this.view.setUint8(at, value ? 1 : 0);
    }
  }

  /** Zeros up to a multiple of `alignment`. */
  align(alignment: number): void {
    this.room((alignment - (this.length % alignment)) % alignment);
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** The header goes on behind the bytes that were read so far. */
export class NeedsMore extends Error {}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads a header from its first bytes; throws {@link NeedsMore} where they end, `format` where they are wrong. */
export class GgufDecoder {
  private readonly view: DataView;
  at = 0;

  constructor(
    private readonly name: string,
    private readonly bytes: Uint8Array,
    /** Size of the whole file. */
    private readonly size: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  bad(problem: string): GraftError {
    return new GraftError("format", `gguf: ${this.name}: ${problem}. It is damaged or no GGUF file: write or fetch it again.`);
  }

  /** Passes over `count` bytes and returns where they begin. */
  private take(count: number): number {
    const at = this.at;
    if (count > this.size - at) throw this.bad(`ends at byte ${this.size}, within its header`);
    if (count > this.bytes.length - at) throw new NeedsMore();
    this.at += count;
    return at;
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** A 64-bit number that counts `what`, each of which takes `width` bytes or more of the header. */
  count(what: string, width: number): number {
    const value = this.view.getBigUint64(this.take(8), true);
    if (value * BigInt(width) > BigInt(this.size - this.at)) throw this.bad(`says it has ${value} ${what}, more than fit into its ${this.size} bytes`);
    return Number(value);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  string(what: string): string {
    const length = this.count(`bytes of ${what}`, 1);
    const at = this.take(length);
    try {
      return utf8.decode(this.bytes.subarray(at, at + length));
    } catch {
      throw this.bad(`${what} is not UTF-8`);
    }
  }

  value(key: string): GgufValue {
    const kind = this.kind(key);
    return kind === "array" ? this.array(key, 0) : ({ type: kind, value: this.plain(key, kind) } as GgufValue);
  }

  private kind(key: string): Kind {
    const code = this.u32();
    if (code >= kinds.length) throw this.bad(`the metadata "${shorten(key)}" has the unknown type ${code}`);
    return kinds[code];
  }

  private array(key: string, depth: number): GgufArray {
    if (depth > 8) throw this.bad(`the metadata "${shorten(key)}" are lists nested more than 8 deep`);
    const of = this.kind(key);
    const count = this.count(`values in "${shorten(key)}"`, widths[of]);
    const value: GgufArray["value"][number][] = [];
    for (let i = 0; i < count; i++) value.push(of === "array" ? this.array(key, depth + 1) : this.plain(key, of));
    return { type: "array", of, value };
  }

  private plain(key: string, kind: Exclude<Kind, "array">): number | bigint | boolean | string {
    if (kind === "string") return this.string(`"${shorten(key)}"`);
    const at = this.take(widths[kind]);
    switch (kind) {
      case "u8":
        return this.view.getUint8(at);
      case "i8":
        return this.view.getInt8(at);
      case "u16":
        return this.view.getUint16(at, true);
      case "i16":
        return this.view.getInt16(at, true);
      case "u32":
        return this.view.getUint32(at, true);
      case "i32":
        return this.view.getInt32(at, true);
      case "f32":
        return this.view.getFloat32(at, true);
      case "f64":
        return this.view.getFloat64(at, true);
      case "u64":
        return this.view.getBigUint64(at, true);
      case "i64":
        return this.view.getBigInt64(at, true);
      default: {
        const byte = this.view.getUint8(at);
        if (byte > 1) throw this.bad(`the metadata "${shorten(key)}" is a bool with the value ${byte}`);
        return byte === 1;
      }
    }
  }
}
