import { describe, expect, it } from "vitest";
import { hasNative } from "graftml";
import { collectGarbage } from "../../src/backend/collect.js";
import { loadAddon } from "../../src/backend/index.js";

const mebibyte = 1 << 20;

describe.skipIf(!hasNative())("memory of results", () => {
  const loaded = loadAddon();
  const empty = "addon" in loaded ? loaded.addon.loadPlan(Float64Array.of(1, 0, 0, 0), []) : {};
  const run = (): void => void ("addon" in loaded && loaded.addon.runSync(empty, [], false));
  const allocate = (dtype: number, length: number) => {
    if (!("addon" in loaded)) throw new Error(loaded.reason);
    return loaded.addon.allocate(dtype, length, collectGarbage);
  };
  /** Makes results that nobody holds, and counts the places where they lay. A function of its own, so that no register of the caller holds the last one. */
  const placesOf = (count: number, bytes: number): number => {
    const buffers = new Map<unknown, number>();
    const places = new Set<string>();
    const make = (value: number): void => {
      const { buffer, byteOffset } = allocate(3, bytes).fill(value);
      if (!buffers.has(buffer)) buffers.set(buffer, buffers.size);
      places.add(`${buffers.get(buffer)} ${byteOffset}`);
    };
    for (let i = 0; i < count; i++) {
      make(i & 255);
      run();
    }
    return places.size;
  };

  it("is a typed array of the dtype, aligned for the kernels, of any length", () => {
    expect(allocate(0, 1000)).toBeInstanceOf(Float32Array);
    expect(allocate(1, 1000)).toBeInstanceOf(Float64Array);
    expect(allocate(2, 1000)).toBeInstanceOf(Int32Array);
    expect(allocate(4, 1000)).toBeInstanceOf(Uint8Array);
    expect(allocate(6, 1000)).toBeInstanceOf(Uint16Array);
    expect([0, 1, 1023, 5 * mebibyte + 1].map((length) => allocate(0, length).length)).toEqual([0, 1, 1023, 5 * mebibyte + 1]);
  });

  it("is used again when nobody holds it any more, without a turn of the event loop", () => {
    expect(placesOf(60, 24 * mebibyte)).toBeLessThan(8);
    expect(placesOf(60, 3 * mebibyte)).toBeLessThan(30);
    expect(placesOf(4000, mebibyte / 4)).toBeLessThan(400);
  });

  it("goes round few places also after busier times", () => {
    const busy = (): number => Array.from({ length: 40 }, () => allocate(3, 4 * mebibyte)).reduce((sum, view) => sum + view[0], 0);
    busy();
    collectGarbage(true);
    placesOf(8, 4 * mebibyte);
    expect(placesOf(60, 4 * mebibyte)).toBeLessThan(12); // not 40 that have left the caches
  });

  it("of many sizes is given back to the system", () => {
    for (let mebibytes = 20; mebibytes < 60; mebibytes++) placesOf(3, mebibytes * mebibyte); // 4.8 GB
    expect(process.memoryUsage().rss / mebibyte).toBeLessThan(1500);
  });

  it("is nobody else's while it is held, however old it grows", () => {
    const held = Array.from({ length: 12 }, (_, i) => allocate(3, 9 * mebibyte).fill(i));
    placesOf(30, 9 * mebibyte);
    expect(held.map((view) => [view[0], view[view.length >> 1], view[view.length - 1]])).toEqual(held.map((_, i) => [i, i, i]));
  });

  it("that cannot be had is an error", () => {
    expect(() => allocate(0, 2 ** 50)).toThrow("4503599627370496 bytes could not be had");
    expect(() => allocate(7, 1)).toThrow("expected a dtype");
    expect(() => allocate(0, -1)).toThrow("expected a number of elements");
  });
});
