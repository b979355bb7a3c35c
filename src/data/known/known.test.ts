import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataLoader, augment, load, transforms } from "../index.js";
import { download } from "./download.js";

let dir: string;
let server: Server;
let address: string;
const content = Buffer.from("some bytes");
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "graft-known-"));
  server = createServer((request, response) => {
    if (request.url === "/good" || request.url?.endsWith(".gz")) response.end(content);
    else if (request.url === "/endless") response.end(Buffer.alloc(1 << 20));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(dir, { recursive: true, force: true });
});

describe("digits", () => {
  it("come with the package, split as everywhere", async () => {
    const { train, test, classes, inputShape } = await load("digits");
    expect([train.length, test.length, classes.length, inputShape]).toEqual([1437, 360, 10, [1, 8, 8]]);
    const [{ data }, label] = train.get(0);
    expect(label).toBe(0);
    expect(Array.from(data.subarray(0, 8), (v) => v * 16)).toEqual([0, 0, 5, 13, 9, 1, 0, 0]);
    const counts = new Array<number>(10).fill(0);
    for (const digit of [...train.labels, ...test.labels]) counts[digit]++;
    expect(counts).toEqual([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    const [images, labels] = test.tensors();
    expect([images.shape, labels.shape, labels.dtype]).toEqual([[360, 1, 8, 8], [360], "i32"]);
  });

  it("are doubled by repeating pixels, and can be augmented reproducibly", async () => {
    const [small, large] = [await load("digits"), await load("digits", { scale: 2 })];
    expect(large.inputShape).toEqual([1, 16, 16]);
    const double = transforms.resize(16, { mode: "nearest" });
    for (const i of [0, 700, 1436]) expect(large.train.get(i)).toEqual([double(small.train.get(i)[0], undefined as never), small.train.get(i)[1]]);
    const pass = async (prefetch: number) => {
      const all: number[] = [];
      const data = augment(large.train, transforms.randomAffine({ degrees: 10, translate: [0.1, 0.1] }));
      for await (const [x] of new DataLoader(data, { batchSize: 256, shuffle: true, seed: 1, prefetch })) all.push((x.node.value as Float32Array).reduce((a, b) => a + b, 0));
      return all;
    };
    expect(await pass(0)).toEqual(await pass(3));
  });
});

describe("mnist", () => {
  const idx = (shape: number[], values: number[]): Buffer => {
    const head = Buffer.alloc(4 + 4 * shape.length);
    head.set([0, 0, 8, shape.length]);
    shape.forEach((n, i) => head.writeUInt32BE(n, 4 + 4 * i));
    return Buffer.concat([head, Buffer.from(values)]);
  };
  const put = async (root: string, labels: number[]) => {
    await mkdir(root, { recursive: true });
    for (const part of ["train", "t10k"]) {
      await writeFile(join(root, `${part}-images-idx3-ubyte`), idx([2, 1, 2], [0, 255, 51, 0]));
      await writeFile(join(root, `${part}-labels-idx1-ubyte`), idx([labels.length], labels));
    }
  };

  it("is read from idx files in root, or in a folder of its name there", async () => {
    await put(join(dir, "sets", "mnist"), [3, 9]);
    for (const root of [join(dir, "sets"), join(dir, "sets", "mnist")]) {
      const { train, inputShape } = await load("mnist", { root, download: false });
      expect([inputShape, [...train.labels]]).toEqual([[1, 1, 2], [3, 9]]);
      expect(Array.from(train.get(1)[0].data)).toEqual([expect.closeTo(0.2, 6), 0]);
    }
    await put(join(dir, "wrong"), [3, 12]);
    await expect(load("mnist", { root: join(dir, "wrong") })).rejects.toThrow(/labels-idx1-ubyte: row 1 has the label 12, with 10 classes/);
    await put(join(dir, "wrong"), [3]);
    await expect(load("mnist", { root: join(dir, "wrong") })).rejects.toThrow(/wanted are u8 \[N, H, W\] and \[N\]/);
  });

  it("says where to put the files when they are missing and cannot be fetched", async () => {
    const root = join(dir, "missing");
    await expect(load("mnist", { root, download: false })).rejects.toMatchObject({ code: "file", message: expect.stringContaining(root) as unknown });
    const offline = load("fashion-mnist", { root, mirror: "http://127.0.0.1:1/" });
    await expect(offline).rejects.toMatchObject({ code: "network", message: expect.stringMatching(/^fashion-mnist: .*could not be fetched.*Put .* into .*missing/) as unknown });
    await expect(load("mnist", { root, mirror: address })).rejects.toMatchObject({ code: "network", message: expect.stringContaining("gave 10 bytes") as unknown });
    await expect(load("mnits")).rejects.toThrow(/no known data set "mnits". Did you mean "mnist"/);
    await expect(load("mnist", { scale: 2 })).rejects.toThrow(/scale is for digits/);
    await expect(load("digits", { scale: 0 })).rejects.toThrow(/scale is 0/);
    process.env.GRAFT_DATA = join(dir, "sets");
    expect((await load("mnist")).test.length).toBe(2);
    delete process.env.GRAFT_DATA;
  });

  it("is fetched whole and checked, or not at all", async () => {
    const expected = { bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
    const folder = join(dir, "fetched");
    await download(`${address}/good`, join(folder, "good"), expected);
    expect(await readFile(join(folder, "good"))).toEqual(content);
    await expect(download(`${address}/good`, join(folder, "other"), { ...expected, sha256: "0".repeat(64) })).rejects.toThrow(/try another mirror/);
    await expect(download(`${address}/endless`, join(folder, "other"), expected)).rejects.toThrow(/expected are 10 bytes/);
    await expect(download(`${address}/none`, join(folder, "other"), expected)).rejects.toThrow(/404/);
    await expect(download(`${address}/good`, join(folder, "good", "below"), expected)).rejects.toMatchObject({ code: "file" });
    expect(await readdir(folder)).toEqual(["good"]);
  });
});
