import fc from "fast-check";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GraftError } from "../base/index.js";
import { decodeIdx, decodeImage, imageFolder, parseCsv, readCsv, readIdx } from "./index.js";

let dir: string;
beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-data-"))));
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Any failure must be a GraftError. */
const survives = async (work: () => unknown): Promise<void> => {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(GraftError);
  }
};

function idx(type: number, shape: readonly number[], content: Uint8Array, rank = shape.length): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.set([0, 0, type, rank]);
  shape.forEach((n, i) => head.writeUInt32BE(n, 4 + 4 * i));
  return Buffer.concat([head, content]);
}

describe("idx", () => {
  it("reads every element type, plain and packed", async () => {
    const file = join(dir, "a.gz");
    await writeFile(file, gzipSync(idx(8, [2, 1, 2], Uint8Array.of(1, 2, 3, 255))));
    expect(await readIdx(file)).toEqual({ dtype: "u8", shape: [2, 1, 2], data: Uint8Array.of(1, 2, 3, 255) });
    const numbers: [number, Uint8Array, string, number[]][] = [
      [0x09, Uint8Array.of(0xff, 2), "i32", [-1, 2]],
      [0x0b, Uint8Array.of(0xff, 0xfe, 0, 1), "i32", [-2, 1]],
      [0x0c, Uint8Array.of(0xff, 0xff, 0xff, 0xfd, 0, 1, 0, 0), "i32", [-3, 65536]],
      [0x0d, Uint8Array.of(0x3f, 0x80, 0, 0, 0xbf, 0, 0, 0), "f32", [1, -0.5]],
      [0x0e, Uint8Array.of(0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), "f64", [1, 0]],
    ];
    for (const [type, content, dtype, values] of numbers) {
      const read = await decodeIdx(idx(type, [2], content));
      expect([read.dtype, Array.from(read.data)]).toEqual([dtype, values]);
    }
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["empty", new Uint8Array(0), /0 bytes long/],
    ["another format", Buffer.from("PK\x03\x04"), /does not start with two zero bytes/],
    ["element type", idx(7, [1], Uint8Array.of(1)), /unknown element type 0x07/],
    ["no dimensions", idx(8, [], new Uint8Array(0)), /0 dimensions/],
    ["too many dimensions", idx(8, [1], Uint8Array.of(1), 200), /200 dimensions/],
    ["cut in the header", idx(8, [], new Uint8Array(0), 3), /ends within its header/],
    ["cut", idx(8, [2, 2], Uint8Array.of(1)), /is 13 bytes long, its shape \[2, 2\] needs 16/],
    ["too long", idx(8, [1], Uint8Array.of(1, 2)), /needs 9/],
    ["hostile size", idx(8, [4294967295, 4294967295, 4294967295], Uint8Array.of(1)), /more than can be read/],
    ["large size", idx(14, [2 ** 30], Uint8Array.of(1)), /is 9 bytes long/],
    ["bomb", gzipSync(idx(8, [4], Buffer.alloc(10_000_000))), /unpacks to more than 12 bytes/],
    ["broken gzip", gzipSync(idx(8, [400], Buffer.alloc(400, "random"))).subarray(0, 30), /broken gzip/],
  ])("refuses a file: %s", async (_, bytes, message) => {
    const error: unknown = await decodeIdx(bytes, "bad.idx").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(GraftError);
    expect((error as GraftError).message).toMatch(message);
    expect((error as GraftError).message).toContain("bad.idx");
  });

  it("survives any bytes", async () => {
    const valid = [idx(8, [2, 3], Buffer.alloc(6)), idx(13, [2], Buffer.alloc(8)), gzipSync(idx(8, [2, 3], Buffer.alloc(6)))];
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), (bytes) => survives(() => decodeIdx(bytes))), { numRuns: 200 });
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 15 }), (bytes, type) => survives(() => decodeIdx(Uint8Array.of(0, 0, type, ...bytes)))), { numRuns: 200 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...valid), fc.nat(), fc.nat({ max: 255 }), fc.nat(), async (bytes, at, value, cut) => {
        const changed = Buffer.from(bytes);
        changed[at % changed.length] = value;
        await survives(() => decodeIdx(changed));
        await survives(() => decodeIdx(changed.subarray(0, cut % changed.length)));
      }),
      { numRuns: 200 },
    );
  });
});

describe("csv", () => {
  const table = parseCsv('\ufeffage, city ,label\n1.5,"Bern, CH",b\n\n-2e3,"a ""b""\nc",a\n', {}, "people.csv");

  it("gives columns as numbers, text and labels", async () => {
    expect(table.columns).toEqual(["age", "city", "label"]);
    expect(table.numbers(["age"])).toEqual({ dtype: "f32", shape: [2, 1], data: Float32Array.of(1.5, -2000) });
    expect(table.text("city")).toEqual(["Bern, CH", 'a "b"\nc']);
    expect(table.labels("label")).toEqual({ labels: Int32Array.of(1, 0), classes: ["a", "b"] });
    expect(table.labels("label", { classes: ["b", "a"] }).labels).toEqual(Int32Array.of(0, 1));
    expect(parseCsv("10\n9\n10", { header: ["x"] }).labels("x").classes).toEqual(["9", "10"]);
    const file = join(dir, "t.tsv.gz");
    await writeFile(file, gzipSync('a\tb\n1\t"x\n'));
    expect((await readCsv(file, { quotes: false })).text("b")).toEqual(['"x']);
    expect(parseCsv("1,\n,4", { header: false }).numbers(["0", "1"], { missing: -1, dtype: "i32" }).data).toEqual(Int32Array.of(1, -1, -1, 4));
    expect(parseCsv("").length).toBe(0);
  });

  it("names the line and the column of a problem", async () => {
    expect(() => table.numbers(["city"])).toThrow(/people\.csv: line 2, column "city" is "Bern, CH", not a number/);
    expect(() => table.numbers(["agee"])).toThrow(/no column "agee". Did you mean "age"/);
    expect(() => parseCsv("a,b\n1,\n", {}, "x.csv").numbers()).toThrow(/x\.csv: line 2, column "b" is empty/);
    expect(() => parseCsv("a\n1\n2.5").numbers(["a"], { dtype: "i32" })).toThrow(/line 3, column "a" is 2.5, not a whole/);
    expect(() => parseCsv("y\n0\n3").labels("y", { classes: 3 })).toThrow(/line 3, column "y" has the label "3", but labels are 0 to 2/);
    expect(() => parseCsv("y\ncat\ndgo").labels("y", { classes: ["cat", "dog"] })).toThrow(/line 3.*"dgo", but the classes are cat, dog\. Did you mean "dog"\? Correct it/);
    expect(() => parseCsv("a,b\n1,2\n1,2,3\n", {}, "x.csv")).toThrow(/x\.csv: line 3: has 3 cells, there are 2 columns/);
    expect(() => parseCsv("a,a\n1,2\n")).toThrow(/column "a" appears twice/);
    expect(() => parseCsv('a\n"x', {}, "x.csv")).toThrow(/x\.csv: line \d/);
    expect(() => parseCsv(Uint8Array.of(97, 0xff, 10))).toThrow(/not UTF-8/);
    await expect(readCsv(join(dir, "none.csv"))).rejects.toMatchObject({ code: "file" });
  });

  it("survives any bytes", async () => {
    const use = (content: string | Uint8Array, header: boolean) => survives(() => parseCsv(content, { header }).numbers());
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.boolean(), use), { numRuns: 300 });
    await fc.assert(fc.asyncProperty(fc.string({ unit: fc.constantFrom("a", "1", ",", '"', "\n", "\r", " ", "\ufeff", "\0") }), fc.boolean(), use), { numRuns: 500 });
  });

  it("gives back what was written", () => {
    const cell = fc.string({ unit: "grapheme" });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1 }), (cells) => {
        const text = cells.map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(",")).join("\n");
        const back = parseCsv(text, { header: ["a", "b"] });
        expect([back.text("a"), back.text("b")]).toEqual([cells.map(([a]) => a), cells.map(([, b]) => b)]);
      }),
      { numRuns: 100 },
    );
  });
});

describe("pictures", () => {
  const png = (pixels: readonly number[], channels: 1 | 3 | 4, width: number): Promise<Buffer> =>
    sharp(Uint8Array.from(pixels), { raw: { width, height: pixels.length / channels / width, channels } }).png().toBuffer();

  it("become planes of 0 to 1", async () => {
    const colour = await png([255, 0, 51, 0, 255, 102], 3, 2);
    const { data, ...size } = await decodeImage(colour);
    expect(size).toEqual({ channels: 3, height: 1, width: 2 });
    expect(Array.from(data)).toEqual([1, 0, 0, 1, 0.2, 0.4].map((v) => expect.closeTo(v, 6) as number));
    const grey = await decodeImage(await png([0, 51, 255, 102], 1, 2), { channels: 1, invert: true });
    expect(Array.from(grey.data)).toEqual([1, 0.8, 0, 0.6].map((v) => expect.closeTo(v, 6) as number));
    expect((await decodeImage(await png([7, 7], 1, 2), { channels: 3 })).data.every((v) => Math.abs(v - 7 / 255) < 1e-6)).toBe(true);
    expect(Array.from((await decodeImage(await png([9, 9, 9, 0], 4, 1))).data)).toEqual([1, 1, 1]); // transparent: white
    const file = join(dir, "large.jpg");
    await sharp({ create: { width: 40, height: 20, channels: 3, background: "red" } }).jpeg().toFile(file);
    expect(await decodeImage(file, { channels: 1, height: 8, width: 8 })).toMatchObject({ channels: 1, height: 8, width: 8 });
    expect(await decodeImage(file, { height: 10 })).toMatchObject({ height: 10, width: 20 });
  });

  it("that are none are refused", async () => {
    const file = join(dir, "text.png");
    await writeFile(file, "not a picture");
    await expect(decodeImage(file)).rejects.toMatchObject({ code: "format", message: expect.stringMatching(/text\.png: is not a picture/) as unknown });
    await expect(decodeImage(join(dir, "none.png"))).rejects.toMatchObject({ code: "file" });
    await expect(decodeImage(file, { height: 0 })).rejects.toThrow(/size 0/);
    const whole = await sharp({ create: { width: 64, height: 64, channels: 3, background: "red" } }).png().toBuffer();
    await expect(decodeImage(whole.subarray(0, 120))).rejects.toMatchObject({ code: "format" });
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), (bytes) => survives(() => decodeImage(bytes))), { numRuns: 30 });
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat({ max: 255 }), (at, value) => {
        const changed = Buffer.from(whole);
        changed[at % changed.length] = value;
        return survives(() => decodeImage(changed));
      }),
      { numRuns: 60 },
    );
  });

  it("are found by folder", async () => {
    const root = join(dir, "animals");
    await expect(imageFolder(root)).rejects.toMatchObject({ code: "file" });
    for (const [name, value] of [["dog", 255], ["cat", 0]] as const) {
      await mkdir(join(root, name), { recursive: true });
      await writeFile(join(root, name, "1.PNG"), await png([value, value, value, value], 1, 2));
    }
    await writeFile(join(root, "cat", "notes.txt"), "");
    const data = await imageFolder(root, { channels: 1 });
    expect([data.classes, data.length, [...data.labels]]).toEqual([["cat", "dog"], 2, [0, 1]]);
    expect(await data.get(1)).toEqual([{ data: Float32Array.of(1, 1, 1, 1), channels: 1, height: 2, width: 2 }, 1]);
    await mkdir(join(root, "empty"));
    await expect(imageFolder(root)).rejects.toThrow(/no pictures in empty/);
    await expect(imageFolder(join(root, "empty"))).rejects.toThrow(/no subfolders/);
  });
});
