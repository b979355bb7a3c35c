import { describe, expect, it } from "vitest";
import { hasNative } from "graftml";
import { collectYoung } from "../../src/backend/collect.js";
import { loadAddon } from "../../src/backend/index.js";

const mebibyte = 1 << 20;

describe.skipIf(!hasNative())("memory of results", () => {
  const loaded = loadAddon();
  const allocate = (dtype: number, length: number) => {
    if (!("addon" in loaded)) throw new Error(loaded.reason);
    return loaded.addon.allocate(dtype, length, collectYoung);
  };
  /** Makes results that nobody holds; a function of its own, so that no register of the caller holds the last one. */
  const makeGarbage = (bytes: number, value: number) => void allocate(3, bytes).fill(value);

  it("is a typed array of the dtype, aligned for the kernels, of any length", () => {
    expect(allocate(0, 1000)).toBeInstanceOf(Float32Array);
    expect(allocate(1, 1000)).toBeInstanceOf(Float64Array);
    expect(allocate(2, 1000)).toBeInstanceOf(Int32Array);
    expect(allocate(4, 1000)).toBeInstanceOf(Uint8Array);
    expect(allocate(6, 1000)).toBeInstanceOf(Uint16Array);
    expect([0, 1, 1023, 5 * mebibyte + 1].map((length) => allocate(0, length).length)).toEqual([0, 1, 1023, 5 * mebibyte + 1]);
  });

  it("is used again when nobody holds it any more, without a turn of the event loop", () => {
    for (let i = 0; i < 4; i++) makeGarbage(24 * mebibyte, i); // what is held for the rest of the process is there now
    const before = process.memoryUsage().external;
    for (let i = 0; i < 60; i++) makeGarbage(24 * mebibyte, i);
    expect((process.memoryUsage().external - before) / mebibyte).toBeLessThan(200); // of 1440
  });

  it("is used again in small pieces too", () => {
    const before = process.memoryUsage().external;
    for (let i = 0; i < 4000; i++) makeGarbage(mebibyte / 4, i & 255);
    expect((process.memoryUsage().external - before) / mebibyte).toBeLessThan(200); // of 1000
  });

  it("is nobody else's while it is held, however old it grows", () => {
    const held = Array.from({ length: 12 }, (_, i) => allocate(3, 9 * mebibyte).fill(i));
    for (let i = 0; i < 30; i++) makeGarbage(9 * mebibyte, 200);
    expect(held.map((view) => [view[0], view[view.length >> 1], view[view.length - 1]])).toEqual(held.map((_, i) => [i, i, i]));
    expect(new Set(held.map(({ buffer }) => buffer)).size).toBe(held.length);
  });

  it("that cannot be had is an error", () => {
    expect(() => allocate(0, 2 ** 50)).toThrow("4503599627370496 bytes could not be had");
    expect(() => allocate(7, 1)).toThrow("expected a dtype");
    expect(() => allocate(0, -1)).toThrow("expected a number of elements");
  });
});
