import { fileURLToPath } from "node:url";
import { GraftError } from "../../base/index.js";
import { readCsv } from "../csv.js";
import { ImageDataset } from "../image-dataset.js";

/** The file that is part of the package: data/digits, beside src or dist. */
const file = fileURLToPath(new URL("../../../data/digits/digits.csv.gz", import.meta.url));
const size = 8;
const testRows = 360;

/**
 * 1,437 + 360 handwritten digits of 8x8 (Alpaydin and Kaynak 1998, doi 10.24432/C50P49, CC BY 4.0), enlarged `scale` times by repeating pixels.
 * The last rows, from other writers, are the test part.
 */
export async function loadDigits({ scale = 1 }: { readonly scale?: number }): Promise<{ train: ImageDataset; test: ImageDataset }> {
  if (!Number.isInteger(scale) || scale < 1 || scale > 64) throw new GraftError("argument", `digits: scale is ${scale}. Use a whole number from 1 to 64.`);
  const table = await readCsv(file, { header: false });
  const names = Array.from({ length: size * size }, (_, i) => String(i));
  const pixels = enlarge(Uint8Array.from(table.numbers(names).data), table.length, scale);
  const { labels, classes } = table.labels(String(size * size), { classes: 10 });
  const side = size * scale;
  const options = { name: "digits", channels: 1, height: side, width: side, maximum: 16, classes };
  const part = (from: number, to: number): ImageDataset =>
    new ImageDataset(pixels.subarray(from * side * side, to * side * side), labels.slice(from, to), options);
  const cut = table.length - testRows;
  return { train: part(0, cut), test: part(cut, table.length) };
}

function enlarge(pixels: Uint8Array, count: number, scale: number): Uint8Array {
  if (scale === 1) return pixels;
  const side = size * scale;
  const result = new Uint8Array(count * side * side);
  for (let i = 0; i < result.length; i++) {
    const row = Math.floor(i / side); // all pictures lie below each other
    result[i] = pixels[Math.floor(row / scale) * size + Math.floor((i % side) / scale)];
  }
  return result;
}
