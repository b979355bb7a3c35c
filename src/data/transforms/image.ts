import { GraftError } from "../../base/index.js";
import { showShape, type Shape } from "../../graph/index.js";
import type { Random } from "../random.js";
import type { Image } from "../sample.js";

/** Changes a picture; whatever is random comes from `random`. The input is never modified, but may be returned where nothing changes. */
export type Transform = (image: Image, random: Random) => Image;

/** A picture of zeros. */
export const blank = (channels: number, height: number, width: number): Image => ({ data: new Float32Array(channels * height * width), channels, height, width });

/** The same size with other values. */
export const withData = ({ channels, height, width }: Image, data: Float32Array): Image => ({ data, channels, height, width });

/** Does one transform after the other. */
export const compose =
  (...transforms: readonly Transform[]): Transform =>
  (image, random) =>
    transforms.reduce((current, transform) => transform(current, random), image);

/**
 * Transforms each picture of a batch [B, C, H, W] on its own, one after the other from one random stream.
 *
 * Throws `shape` when the values do not fill the shape or the transform gives pictures of different sizes.
 */
export function transformBatch(data: Float32Array, shape: Shape, transform: Transform, random: Random): { readonly data: Float32Array; readonly shape: Shape } {
  const [count, channels, height, width] = shape;
  const size = channels * height * width;
  if (shape.length !== 4 || data.length !== count * size) {
    throw new GraftError("shape", `transformBatch: ${data.length} values in shape ${showShape(shape)} are not a batch of pictures. Pass [B, C, H, W].`);
  }
  let result: Float32Array | undefined;
  let made: Image | undefined;
  for (let i = 0; i < count; i++) {
    const image = transform({ data: data.subarray(i * size, (i + 1) * size), channels, height, width }, random);
    made ??= image;
    result ??= new Float32Array(count * image.data.length);
    if (image.channels !== made.channels || image.height !== made.height || image.width !== made.width) {
      throw new GraftError("shape", `transformBatch: picture ${i} became ${size3(image)}, picture 0 ${size3(made)}. Use a transform that gives one size.`);
    }
    result.set(image.data, i * image.data.length);
  }
  return { data: result ?? new Float32Array(0), shape: made === undefined ? shape : [count, made.channels, made.height, made.width] };
}

/** `[C, H, W]` of a picture as text. */
export const size3 = ({ channels, height, width }: Image): string => showShape([channels, height, width]);

/** Throws `argument` unless `value` lies in [low, high]. */
export function checkRange(op: string, name: string, value: number, low: number, high = Infinity): void {
  if (!(value >= low && value <= high)) {
    throw new GraftError("argument", `${op}: ${name} is ${value}. Use a number from ${low}${high === Infinity ? " upwards" : ` to ${high}`}.`);
  }
}

/** Throws `argument` unless `value` is a whole number of at least `low`. */
export function checkWhole(op: string, name: string, value: number, low: number): void {
  if (!Number.isSafeInteger(value) || value < low) throw new GraftError("argument", `${op}: ${name} is ${value}. Use a whole number of ${low} or more.`);
}

/** One number for both, or [height, width]. */
export type Size = number | readonly [height: number, width: number];
export function toSize(op: string, size: Size): readonly [number, number] {
  const pair = typeof size === "number" ? ([size, size] as const) : size;
  checkWhole(op, "height", pair[0], 1);
  checkWhole(op, "width", pair[1], 1);
  return pair;
}
