import fc from "fast-check";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GraftError } from "../base/index.js";
import { packGguf, unpackGguf, type GgufType } from "./gguf-blocks.js";
import { decodeGguf, readGguf, writeGguf, type GgufTensor } from "./gguf.js";
import type { GgufValue } from "./gguf-values.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "graft-gguf-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const metadata = new Map<string, GgufValue>([
  ["general.architecture", { type: "string", value: "tést" }],
  ["a.u8", { type: "u8", value: 255 }],
  ["a.i8", { type: "i8", value: -128 }],
  ["a.u16", { type: "u16", value: 65535 }],
  ["a.i16", { type: "i16", value: -5 }],
  ["a.u32", { type: "u32", value: 4294967295 }],
  ["a.i32", { type: "i32", value: -7 }],
  ["a.f32", { type: "f32", value: 0.5 }],
  ["a.f64", { type: "f64", value: 0.1 }],
  ["a.u64", { type: "u64", value: 18446744073709551615n }],
  ["a.i64", { type: "i64", value: -3n }],
  ["a.bool", { type: "bool", value: true }],
  ["a.words", { type: "array", of: "string", value: ["a", "", "ö"] }],
  ["a.nested", { type: "array", of: "array", value: [{ type: "array", of: "i32", value: [1, 2] }] }],
]);
const wave = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7) * (1 + (i % 5)));
const tensors = (types: readonly GgufType[]): Map<string, GgufTensor> => new Map(types.map((type) => [`t.${type}`, { type, source: { dtype: "f32" as const, shape: [3, 64], data: wave(192) } }]));

describe("GGUF files", () => {
  it("keep all kinds of metadata, and tensors of all types", async () => {
    const file = join(dir, "all.gguf");
    await writeGguf(file, metadata, tensors(["f32", "f16", "bf16", "q8_0", "q4_0"]));
    const read = await readGguf(file);
    expect(read.metadata).toEqual(metadata);
    const x = wave(192);
    const largest = { f32: 0, f16: 2e-3, bf16: 2e-2, q8_0: 5 / 127, q4_0: 5 / 8 };
    for (const [name, { shape, stored, data }] of read.tensors) {
      expect([name, shape]).toEqual([`t.${stored}`, [3, 64]]);
      expect(Math.max(...data.map((v, i) => Math.abs(v - x[i])))).toBeLessThanOrEqual(largest[stored]);
    }
  });

  it("q8_0 and q4_0 have the bytes of the format", () => {
    const ramp = Float32Array.from({ length: 32 }, (_, i) => (i - 16) / 8); // -2 ... 1.875
    const q4 = packGguf("q4_0", ramp);
    expect([...q4.subarray(0, 4)]).toEqual([0x00, 0x34, 0x80, 0x91]); // d = 0.25 as f16; values 0 and 16 have q = 0 and 8; 1 and 17: 0.5 + 0.5 and 8.5 + 0.5
    expect(packGguf("q8_0", new Float32Array(32)).every((byte) => byte === 0)).toBe(true);
    const q8 = packGguf("q8_0", Float32Array.from({ length: 32 }, (_, i) => (i === 0 ? -127 : i)));
    expect([...q8.subarray(0, 5)]).toEqual([0x00, 0x3c, 0x81, 1, 2]);
    expect([...unpackGguf("q8_0", q8)].slice(0, 3)).toEqual([-127, 1, 2]);
  });

  it("have headers of any length", async () => {
    const file = join(dir, "long.gguf");
    const words = Array.from({ length: 150_000 }, (_, i) => `word${i}`); // more than the first piece that is read
    const many = new Map<string, GgufValue>(Array.from({ length: 400 }, (_, i) => [`key${"x".repeat(i % 9)}.${i}`, { type: "array", of: "string", value: [`${i}`] }]));
    many.set("words", { type: "array", of: "string", value: words });
    await writeGguf(file, many, tensors(["q8_0"]));
    expect((await readGguf(file)).metadata).toEqual(many);
  });

  it("refuse what they cannot hold", async () => {
    const file = join(dir, "no.gguf");
    const source = { dtype: "f32" as const, shape: [2, 33], data: new Float32Array(66) };
    await expect(writeGguf(file, new Map(), new Map([["a", { source, type: "q8_0" }]]))).rejects.toThrow(/multiples of 32/);
    await expect(writeGguf(file, new Map([["a", { type: "u8", value: 256 }]]), new Map())).rejects.toThrow(/no u8/);
    await expect(readGguf(file)).rejects.toThrow(GraftError);
  });

  it("every damaged file is read or refused with a clear error", async () => {
    const file = join(dir, "fuzz.gguf");
    await writeGguf(file, metadata, tensors(["f32", "q4_0"]));
    const good = new Uint8Array(await readFile(file));
    const attempt = async (bytes: Uint8Array): Promise<void> => {
      await decodeGguf(bytes).catch((error: unknown) => {
        if (!(error instanceof GraftError) || error.code !== "format") throw error;
      });
    };
    await fc.assert(fc.asyncProperty(fc.nat(good.length - 1), (length) => attempt(good.slice(0, length))), { numRuns: 100 });
    const edits = fc.array(fc.tuple(fc.nat(900), fc.constantFrom(0, 1, 8, 9, 127, 128, 255)), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(edits, (list) => {
        const bytes = good.slice();
        for (const [at, value] of list) bytes[at] = value;
        return attempt(bytes);
      }),
      { numRuns: 500 },
    );
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), (tail) => attempt(Uint8Array.from([...good.subarray(0, 8), ...tail]))), { numRuns: 300 });
  });
});
