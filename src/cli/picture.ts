import { z } from "zod";
import { GraftError } from "../base/index.js";
import { decodeImage, transforms, type Image } from "../data/index.js";
import type { SavedConfig } from "../models/index.js";
import { check, number, oneOf, whole } from "./schema.js";

/** How a picture of any size becomes an input of a model: the key `preprocess` of config.json, for pictures. */
const preprocessSchema = z.looseObject({
  /** [height, width] */
  size: z.tuple([whole(), whole()]),
  channels: z.union([z.literal(1), z.literal(3)]).default(1),
  /** What the model was trained on: light strokes on dark, or dark ones on light. Without it pictures are taken as they are. */
  background: oneOf(["dark", "light"]).optional(),
  /** The drawn part is cut out and framed with a margin of this share of the side; without it the whole picture is used. */
  trim: number({ min: 0, max: 0.4 }).optional(),
  /** At the end every pixel is repeated this many times in both directions. */
  repeat: whole().default(1),
});
type PicturePreprocess = z.infer<typeof preprocessSchema>;

/** What was done to a picture, for the user to know. */
export interface Prepared {
  readonly image: Image;
  readonly remarks: readonly string[];
}

/** Throws `config` for a model that takes no pictures. */
export function picturePreprocess(path: string, { preprocess, input_shape: shape }: SavedConfig): PicturePreprocess {
  if (preprocess?.size !== undefined) return check(`${path}: preprocess in config.json`, preprocessSchema, preprocess);
  if (shape?.length === 3 && (shape[0] === 1 || shape[0] === 3)) return preprocessSchema.parse({ size: [shape[1], shape[2]], channels: shape[0] });
  throw new GraftError("config", `${path}: takes inputs of ${JSON.stringify(shape ?? "an unknown shape")}, no pictures. graft predict is for models of pictures; use models.load in a program.`);
}

/** Reads a picture and brings it to what the model was trained on. `invert` forces light and dark to be swapped, or not to be; undefined: as the border says. */
export async function preparePicture(file: string, { size, channels, background, trim, repeat }: PicturePreprocess, invert: boolean | undefined): Promise<Prepared> {
  const remarks: string[] = [];
  let image = await decodeImage(file, background === undefined && trim === undefined ? { channels, height: size[0], width: size[1] } : { channels });
  const border = borderMean(image);
  const swap = invert ?? (background !== undefined && (border > 0.5 ? "light" : "dark") !== background);
  if (swap) {
    image = { ...image, data: image.data.map((value) => 1 - value) };
    remarks.push(invert ? "inverted" : `inverted: its border is ${border > 0.5 ? "light" : "dark"}`);
  }
  const [height, width] = size;
  const exact = image.height === height && image.width === width;
  const enlarged = image.height === height * repeat && image.width === width * repeat;
  if (enlarged && repeat > 1) return { image, remarks };
  if (trim !== undefined && !exact && background !== undefined) {
    const box = drawn(image, background === "dark");
    if (box !== undefined) {
      image = frame(image, box, trim, background === "light" ? 1 : 0);
      remarks.push(`cut to ${box.width}x${box.height}`);
    }
  }
  image = shrink(image, height, width);
  return { image: repeat === 1 ? image : transforms.resize([height * repeat, width * repeat], { mode: "nearest" })(image, undefined as never), remarks };
}

function borderMean({ data, channels, height, width }: Image): number {
  let [sum, count] = [0, 0];
  for (let p = 0; p < channels * height * width; p++) {
    const [y, x] = [Math.floor(p / width) % height, p % width];
    if (y === 0 || x === 0 || y === height - 1 || x === width - 1) [sum, count] = [sum + data[p], count + 1];
  }
  return sum / count;
}

interface Box {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** The rectangle of all pixels that differ clearly from the background; undefined for an empty picture. */
function drawn({ data, channels, height, width }: Image, dark: boolean): Box | undefined {
  const ink = (value: number): number => (dark ? value : 1 - value);
  const most = data.reduce((top, value) => Math.max(top, ink(value)), 0);
  if (most < 0.1) return undefined;
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let p = 0; p < channels * height * width; p++) {
    if (ink(data[p]) < 0.25 * most) continue; // noise and JPEG's ripples stay below
    const [y, x] = [Math.floor(p / width) % height, p % width];
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
  }
  return { top, left, height: bottom - top + 1, width: right - left + 1 };
}

/** The box in the middle of a square of the background, with a margin on all sides. */
function frame({ data, channels, height, width }: Image, box: Box, margin: number, fill: number): Image {
  const side = Math.max(1, Math.round(Math.max(box.height, box.width) / (1 - 2 * margin)));
  const result = new Float32Array(channels * side * side).fill(fill);
  const [down, across] = [Math.floor((side - box.height) / 2), Math.floor((side - box.width) / 2)];
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < box.height; y++) {
      const from = (c * height + box.top + y) * width + box.left;
      result.set(data.subarray(from, from + box.width), (c * side + down + y) * side + across);
    }
  }
  return { data: result, channels, height: side, width: side };
}

/** Resizes so that each new pixel is the mean of the area it covers (enlarging, it is the pixel below): no stroke is lost between samples. */
function shrink({ data, channels, height, width }: Image, newHeight: number, newWidth: number): Image {
  const rows = coverage(height, newHeight);
  const columns = coverage(width, newWidth);
  const result = new Float32Array(channels * newHeight * newWidth);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < newHeight; y++) {
      for (let x = 0; x < newWidth; x++) {
        let sum = 0;
        for (const [row, a] of rows[y]) for (const [column, b] of columns[x]) sum += a * b * data[(c * height + row) * width + column];
        result[(c * newHeight + y) * newWidth + x] = sum;
      }
    }
  }
  return { data: result, channels, height: newHeight, width: newWidth };
}

/** For each new position along an axis: the old ones that it covers, with their shares of it. */
function coverage(from: number, to: number): (readonly [position: number, share: number])[][] {
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [(i * from) / to, ((i + 1) * from) / to];
    const parts: [number, number][] = [];
    for (let p = Math.floor(start); p < Math.min(from, Math.ceil(end - 1e-9)); p++) parts.push([p, (Math.min(end, p + 1) - Math.max(start, p)) / (end - start)]);
    return parts;
  });
}
