import { readFile, readdir } from "node:fs/promises";
import { extname, join } from "node:path";
import { GraftError, readError } from "../base/index.js";
import { checkIndex, type Dataset } from "./dataset.js";
import type { Image } from "./sample.js";

/** Options of {@link decodeImage}. */
export interface DecodeOptions {
  /** 1: grey, 3: red, green and blue. Default 3. */
  readonly channels?: 1 | 3;
  /** Size to bring it to. Default: its own; if only one is given, the other one follows in proportion. */
  readonly height?: number;
  readonly width?: number;
  /** 1 - value: for dark ink on white paper where a model was trained on light ink on black. */
  readonly invert?: boolean;
}

/** No picture is larger: a small file can claim any size. */
const maxPixels = 100_000_000;

/**
 * Reads a picture (PNG, JPEG, WebP, GIF, TIFF) from a path or from bytes: values 0 to 1, [C, H, W], turned upright, transparent parts white.
 *
 * Throws `file` when the file cannot be read, `format` when it is not a picture, is damaged or is too large.
 *
 * @example
 * const { data } = await decodeImage("seven.png", { channels: 1, height: 16, width: 16 }); // Float32Array of 256
 */
export async function decodeImage(source: string | Uint8Array, { channels = 3, height, width, invert = false }: DecodeOptions = {}): Promise<Image> {
  const name = typeof source === "string" ? source : "bytes";
  const bytes =
    typeof source === "string"
      ? await readFile(source).catch((cause: unknown) => {
          throw readError(source, cause);
        })
      : source;
  for (const size of [height, width]) {
    if (size !== undefined && (!Number.isInteger(size) || size < 1)) {
      throw new GraftError("argument", `decodeImage: the size ${size} is not a whole number of 1 or more.`);
    }
  }
  const sharp = await loadSharp();
  try {
    const { data, info } = await sharp(bytes, { failOn: "error", limitInputPixels: maxPixels })
      .rotate() // as its EXIF orientation says
      .flatten({ background: "white" })
      .resize({ height, width, fit: height === undefined || width === undefined ? "cover" : "fill" })
      .toColourspace(channels === 1 ? "b-w" : "srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    return planes(data, info, channels, invert);
  } catch (cause) {
    throw new GraftError("format", `decodeImage: ${name}: is not a picture that can be read: ${(cause as Error).message.split("\n")[0]}. Give a PNG or JPEG file.`, { cause });
  }
}

/** From interleaved bytes to planes of 0 to 1. A grey picture asked for in colour has three equal planes. */
function planes(bytes: Uint8Array, { width, height, channels: stored }: { width: number; height: number; channels: number }, channels: number, invert: boolean): Image {
  const plane = height * width;
  const data = new Float32Array(channels * plane);
  for (let c = 0; c < channels; c++) {
    const from = Math.min(c, stored - 1);
    for (let i = 0; i < plane; i++) {
      const value = bytes[i * stored + from] / 255;
      data[c * plane + i] = invert ? 1 - value : value;
    }
  }
  return { data, channels, height, width };
}

/** Loaded when the first picture is decoded: nothing else needs it. */
async function loadSharp(): Promise<typeof import("sharp").default> {
  try {
    return (await import("sharp")).default;
  } catch (cause) {
    throw new GraftError("backend", `decodeImage: the package sharp, which reads pictures, cannot be loaded: ${(cause as Error).message}. Install it again.`, { cause });
  }
}

/** A data set of picture files; each is decoded when it is read. */
export interface ImageFolder extends Dataset<readonly [Image, number]> {
  /** Names of the subfolders, in order: label i means `classes[i]`. */
  readonly classes: readonly string[];
  readonly files: readonly string[];
  readonly labels: Int32Array;
}

const extensions = new Set([".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff"]);

/**
 * Pictures in one subfolder per class: `root/cat/1.png`, `root/dog/7.jpg`. Classes and files are in alphabetical order; other files are ignored.
 *
 * Give `height` and `width` unless all pictures have one size. Throws `file` when the folder cannot be read, has no subfolders, or one of them has no pictures.
 *
 * @example
 * const animals = await imageFolder("animals", { height: 64, width: 64 });
 */
export async function imageFolder(root: string, options: DecodeOptions = {}): Promise<ImageFolder> {
  const list = (path: string) =>
    readdir(path, { withFileTypes: true, recursive: false }).catch((cause: unknown) => {
      throw readError(path, cause);
    });
  const classes = (await list(root)).filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map(({ name }) => name).sort();
  if (classes.length === 0) throw new GraftError("file", `imageFolder: ${root}: has no subfolders. Put the pictures of each class into a folder of its name.`);
  const files: string[] = [];
  const labels: number[] = [];
  const empty: string[] = [];
  for (const [label, name] of classes.entries()) {
    const found = (await list(join(root, name))).filter((entry) => !entry.isDirectory() && extensions.has(extname(entry.name).toLowerCase()));
    if (found.length === 0) empty.push(name);
    for (const file of found.map((entry) => entry.name).sort()) {
      files.push(join(root, name, file));
      labels.push(label);
    }
  }
  if (empty.length > 0) {
    throw new GraftError("file", `imageFolder: ${root}: no pictures in ${empty.join(", ")}. Add some (${[...extensions].join(" ")}) or remove the folder.`);
  }
  return {
    classes,
    files,
    labels: Int32Array.from(labels),
    length: files.length,
    async get(index) {
      checkIndex("imageFolder", index, files.length);
      return [await decodeImage(files[index], options), labels[index]] as const;
    },
  };
}
