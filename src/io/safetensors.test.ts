import fc from "fast-check";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GraftError } from "../base/index.js";
import { allocate, sizeOf, type DType } from "../graph/index.js";
import { sameBits, type HostTensor } from "./host.js";
import { decodeSafetensors, encodeSafetensors, readSafetensors, readSafetensorsHeader, readSafetensorsTensor, writeSafetensors } from "./safetensors.js";
import { readWeights, writeWeights } from "./shards.js";

let dir: string;
beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-io-"))));
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A file with this header text and this many data bytes; the length field can lie. */
function fileOf(header: string, dataBytes: number, claimed = Buffer.byteLength(header)): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimed));
  return new Uint8Array(Buffer.concat([length, Buffer.from(header), Buffer.alloc(dataBytes)]));
}

const hostTensor: fc.Arbitrary<HostTensor> = fc
  .record({
    dtype: fc.constantFrom<DType>("f32", "f64", "i32", "u8", "bool", "bf16", "f16"),
    shape: fc.array(fc.nat({ max: 4 }), { maxLength: 4 }),
    seed: fc.nat(),
  })
  .map(({ dtype, shape, seed }) => {
    const data = allocate(dtype, sizeOf(shape));
    const bytes = new Uint8Array(data.buffer);
    for (let i = 0; i < bytes.length; i++) bytes[i] = dtype === "bool" ? (seed + i) & 1 : Math.imul(seed + i, 2654435761) >>> 24; // any bits, NaN too
    return { dtype, shape, data };
  });
const hostTensors = fc.dictionary(fc.string({ minLength: 1, unit: "grapheme" }), hostTensor, { maxKeys: 5, noNullPrototype: true }).filter(
  (named) => !Object.keys(named).some((name) => name.split(".").some((part) => ["__proto__", "constructor", "prototype", "__metadata__"].includes(part))),
);

describe("safetensors", () => {
  it("gives back every tensor bit for bit, aligned, and each one alone", async () => {
    await fc.assert(
      fc.asyncProperty(hostTensors, async (named) => {
        const bytes = await encodeSafetensors(named, { metadata: { format: "pt" } });
        expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
        const back = await decodeSafetensors(bytes);
        expect([...back.keys()].sort()).toEqual(Object.keys(named).sort());
        for (const [name, tensor] of back) expect(sameBits(tensor, named[name])).toBe(true);
      }),
      { numRuns: 200 },
    );
    const file = join(dir, "one.safetensors");
    await writeSafetensors(file, { "a.weight": { dtype: "f32", shape: [2], data: Float32Array.of(1, 2) }, b: { dtype: "bool", shape: [], data: Uint8Array.of(1) } });
    expect((await readSafetensorsTensor(file, "a.weight")).data).toEqual(Float32Array.of(1, 2));
    await expect(readSafetensorsTensor(file, "a.wieght")).rejects.toThrow(/no tensor "a.wieght". Did you mean "a.weight"/);
    expect((await readSafetensorsHeader(file)).tensors.get("b")).toMatchObject({ dtype: "bool", stored: "BOOL", shape: [] });
  });

  it("writes the layout of the reference implementation: widest first, then by name", async () => {
    const bytes = await encodeSafetensors({
      z: { dtype: "u8", shape: [1], data: Uint8Array.of(7) },
      b: { dtype: "f32", shape: [1], data: Float32Array.of(1) },
      a: { dtype: "f32", shape: [], data: Float32Array.of(2) },
      h: { dtype: "bf16", shape: [1], data: Uint16Array.of(0x3f80) },
    });
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + bytes[0] + 256 * bytes[1]));
    expect(header.trimEnd()).toBe(
      '{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},' +
        '"h":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]},"z":{"dtype":"U8","shape":[1],"data_offsets":[10,11]}}',
    );
  });

  it("reads 8-, 16- and 64-bit integers as i32 and refuses those that do not fit", async () => {
    const bytes = fileOf('{"w":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"s":{"dtype":"I16","shape":[1],"data_offsets":[16,18]},"c":{"dtype":"I8","shape":[1],"data_offsets":[18,19]}}', 19);
    const view = new DataView(bytes.buffer);
    const start = bytes.length - 19;
    view.setBigInt64(start, -5n, true);
    view.setBigInt64(start + 8, 2n ** 31n - 1n, true);
    view.setInt16(start + 16, -300, true);
    view.setInt8(start + 18, -3);
    const read = await decodeSafetensors(bytes);
    expect([...read].map(([name, t]) => [name, t.dtype, ...t.data])).toEqual([
      ["w", "i32", -5, 2147483647],
      ["s", "i32", -300],
      ["c", "i32", -3],
    ]);
    view.setBigInt64(start + 8, 2n ** 31n, true);
    await expect(decodeSafetensors(bytes, "x.st")).rejects.toThrow(/x\.st: tensor "w" has 2147483648 as element 1, which does not fit i32/);
  });

  const f32 = (begin: number, end: number, shape = "[1]"): string => `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;
  it.each<[string, Uint8Array, RegExp]>([
    ["empty", new Uint8Array(0), /0 bytes long/],
    ["length beyond the file", fileOf("{}", 0, 1000), /claims 1000 bytes, the file has 2/],
    ["length beyond the limit", fileOf("{}", 0, 2 ** 40), /at most 100000000/],
    ["not JSON", fileOf("{a}", 0), /not valid JSON/],
    ["not an object", fileOf("[]", 0), /does not start with/],
    ["not UTF-8", new Uint8Array([3, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0x7d]), /not UTF-8/],
    ["duplicate key", fileOf(`{"a":${f32(0, 4)},"\\u0061":${f32(0, 4)}}`, 4), /"a" appears twice/],
    ["prototype name", fileOf(`{"__proto__":${f32(0, 4)}}`, 4), /__proto__.*not allowed/],
    ["overlap", fileOf(`{"a":${f32(0, 4)},"b":${f32(2, 6)}}`, 6), /tensor "b" overlaps "a"/],
    ["hole", fileOf(`{"a":${f32(0, 4)},"b":${f32(8, 12)}}`, 12), /tensor "b" .* 4 bytes before it belong to no tensor/],
    ["tail", fileOf(`{"a":${f32(0, 4)}}`, 5), /1 bytes at its end/],
    ["truncated", fileOf(`{"a":${f32(0, 4)}}`, 3), /tensor "a" ends at data byte 4, the file has 3/],
    ["backwards", fileOf(`{"a":${f32(4, 0)}}`, 4), /before it starts/],
    ["wrong size", fileOf(`{"a":${f32(0, 4, "[2]")}}`, 4), /takes 8 bytes, the header gives it 4/],
    ["overflowing shape", fileOf(`{"a":${f32(0, 4, "[4294967296,4294967296,4294967297]")}}`, 4), /tensor "a"/],
    ["negative size", fileOf(`{"a":${f32(0, 4, "[-1]")}}`, 4), /not a list of whole numbers/],
    ["unknown dtype", fileOf('{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}', 1), /dtype F8_E4M3/],
    ["bool of 2", new Uint8Array([...fileOf('{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}', 0), 2]), /bool is 0 or 1/],
  ])("refuses a hostile file: %s", async (_, bytes, message) => {
    const error: unknown = await decodeSafetensors(bytes, "bad.safetensors").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(GraftError);
    expect((error as GraftError).message).toMatch(message);
    expect((error as GraftError).message).toContain("bad.safetensors");
  });

  it("survives arbitrary bytes and damaged files with a GraftError only", async () => {
    const attempt = async (bytes: Uint8Array): Promise<void> => {
      await decodeSafetensors(bytes).catch((error: unknown) => expect(error).toBeInstanceOf(GraftError));
    };
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), attempt), { numRuns: 300 });
    await fc.assert(fc.asyncProperty(fc.string(), (text) => attempt(fileOf(`{${text}`, 4))), { numRuns: 300 });
    await fc.assert(fc.asyncProperty(fc.json(), fc.nat({ max: 9 }), (json, n) => attempt(fileOf(`{"a":${json},"b":{"dtype":"F32","shape":${json},"data_offsets":[0,4]}}`, n))), { numRuns: 300 });
    await fc.assert(
      fc.asyncProperty(hostTensors, damage, fc.nat(), async (named, changes, cut) => {
        const bytes = await encodeSafetensors(named);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        await attempt(bytes);
        await attempt(bytes.subarray(0, cut % bytes.length));
      }),
      { numRuns: 300 },
    );
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  it("cuts a large model into shards and reads them by folder or index", async () => {
    const model: Record<string, HostTensor> = {};
    for (let i = 0; i < 5; i++) model[`layer.${i}`] = { dtype: "f32", shape: [10], data: new Float32Array(10).fill(i) };
    const folder = join(dir, "sharded");
    expect(await writeWeights(folder, model, { maxShardBytes: 80 })).toEqual([
      "model-00001-of-00003.safetensors",
      "model-00002-of-00003.safetensors",
      "model-00003-of-00003.safetensors",
      "model.safetensors.index.json",
    ]);
    const index = join(folder, "model.safetensors.index.json");
    for (const path of [folder, index]) {
      const back = await readWeights(path);
      expect(back.size).toBe(5);
      for (const [name, tensor] of back) expect(sameBits(tensor, model[name])).toBe(true);
    }
    expect(JSON.parse(await readFile(index, "utf8"))).toMatchObject({ metadata: { total_size: 200 } });
    await writeFile(index, '{"weight_map":{"layer.0":"../other/model.safetensors"}}');
    await expect(readWeights(folder)).rejects.toThrow(/not a file beside the index/);
    await writeFile(index, '{"weight_map":{"layer.0":"model-00001-of-00003.safetensors"}}');
    await expect(readWeights(folder)).rejects.toThrow(/holds tensor "layer.1", which the index places in "no file"/);
    expect((await readdir(folder)).every((name) => !name.startsWith("."))).toBe(true);
    await expect(readSafetensors(folder)).rejects.toThrow(/not a regular file/);
    await expect(readSafetensors(join(dir, "nothing"))).rejects.toThrow(/no such file/);
  });
});

describe("safetensors of unknown origin", () => {
  /** Entries that are nearly right: small numbers, so that holes, overlaps and mismatches all come up, and valid files too. */
  const small = fc.oneof(fc.nat({ max: 12 }), fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53, 2 ** 53 - 1));
  const entry = fc.record({ dtype: fc.constantFrom("F32", "U8", "I64", "BOOL", "F64", "X", ""), shape: fc.array(small, { maxLength: 3 }), data_offsets: fc.array(small, { minLength: 1, maxLength: 3 }) });
  const consistent = fc.array(fc.record({ dtype: fc.constantFrom("F32", "U8", "BF16"), n: fc.nat({ max: 3 }) }), { maxLength: 4 }).map((list) => {
    let at = 0;
    return list.map(({ dtype, n }) => ({ dtype, shape: [n], data_offsets: [at, (at += n * { F32: 4, U8: 1, BF16: 2 }[dtype as "F32"])] }));
  });

  it("are refused with a GraftError, or give exactly the bytes they hold", async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.array(entry, { maxLength: 4 }), consistent), fc.nat({ max: 16 }), fc.boolean(), async (entries, bytes, fit) => {
        const header = JSON.stringify(Object.fromEntries(entries.map((e, i) => [`t${i}`, e])));
        const end = Math.max(0, ...entries.map((e) => e.data_offsets[1] ?? 0));
        const dataBytes = fit && Number.isInteger(end) && end < 100 ? end : bytes;
        try {
          const tensors = await decodeSafetensors(fileOf(header, dataBytes));
          accepted++;
          let total = 0;
          for (const [name, { dtype, shape, data }] of tensors) {
            expect(data.length).toBe(sizeOf(shape));
            total += entries[Number(name.slice(1))].dtype === "I64" ? 2 * data.byteLength : data.byteLength;
            expect(data.constructor).toBe(allocate(dtype, 0).constructor);
          }
          expect(total).toBe(dataBytes);
        } catch (error) {
          if (!(error instanceof GraftError)) throw error;
          expect(error.message).toMatch(/^safetensors: bytes: /);
          expect(error.message.length).toBeLessThan(700);
        }
      }),
      { numRuns: 600 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  it("may not be nested without end", async () => {
    for (const deep of [`{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`, `${'{"a":'.repeat(100_000)}0${"}".repeat(100_000)}`]) {
      await expect(decodeSafetensors(fileOf(deep, 0))).rejects.toThrow(/nested more than 500 deep/);
    }
  });

  it("may be an index of shards that lies", async () => {
    const folder = join(dir, "index");
    await writeWeights(folder, { a: { dtype: "u8", shape: [1], data: Uint8Array.of(1) }, b: { dtype: "u8", shape: [1], data: Uint8Array.of(2) } }, { maxShardBytes: 1 });
    const index = join(folder, "model.safetensors.index.json");
    const valid = await readFile(index);
    const attempt = async (text: Uint8Array | string): Promise<void> => {
      await writeFile(index, text);
      await readWeights(folder).catch((error: unknown) => expect(error).toBeInstanceOf(GraftError));
    };
    await fc.assert(fc.asyncProperty(fc.json(), (json) => attempt(`{"weight_map":${json}}`)), { numRuns: 60 });
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat({ max: 255 }), async (at, value) => {
        const changed = Buffer.from(valid);
        changed[at % changed.length] = value;
        await attempt(changed);
      }),
      { numRuns: 100 },
    );
  });
});
