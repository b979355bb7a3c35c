import { GraftError } from "../../base/index.js";
import type { Image } from "../sample.js";
import { checkRange, checkWhole, size3, withData, type Transform } from "./image.js";

/**
 * (x - mean) / std, with a mean and a standard deviation for each channel, or one for all.
 *
 * Throws `argument` for a std of 0, `shape` when the picture has another number of channels.
 *
 * @example normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
 */
export function normalize(mean: number | readonly number[], std: number | readonly number[]): Transform {
  const means = [mean].flat();
  const stds = [std].flat();
  for (const value of stds) if (!(Math.abs(value) > 0 && Number.isFinite(value))) throw new GraftError("argument", `normalize: std is [${stds.join(", ")}]. Use finite numbers other than 0.`);
  return (image) => {
    for (const list of [means, stds]) {
      if (list.length !== 1 && list.length !== image.channels) {
        throw new GraftError("shape", `normalize: ${list.length} values for a picture of ${size3(image)}. Give one per channel.`);
      }
    }
    const plane = image.height * image.width;
    const data = new Float32Array(image.data.length);
    for (let c = 0; c < image.channels; c++) {
      const m = means[means.length === 1 ? 0 : c];
      const s = stds[stds.length === 1 ? 0 : c];
      for (let i = c * plane; i < (c + 1) * plane; i++) data[i] = (image.data[i] - m) / s;
    }
    return withData(image, data);
  };
}

/** Adds normal noise with the given standard deviation; `clip` keeps the values in a range. */
export function gaussianNoise({ std, mean = 0, clip }: { readonly std: number; readonly mean?: number; readonly clip?: readonly [low: number, high: number] }): Transform {
  checkRange("gaussianNoise", "std", std, 0);
  return (image, random) => {
    const data = new Float32Array(image.data.length);
    for (let i = 0; i < data.length; i++) {
      const value = image.data[i] + random.normal(mean, std);
      data[i] = clip === undefined ? value : Math.min(clip[1], Math.max(clip[0], value));
    }
    return withData(image, data);
  };
}

/**
 * Blanks a square of `size` pixels around a random pixel, with probability `p`; it may reach over the border (cutout, DeVries and Taylor 2017; random erasing).
 * @example cutout({ size: 4, p: 0.5 })
 */
export function cutout({ size, p = 1, fill = 0 }: { readonly size: number; readonly p?: number; readonly fill?: number }): Transform {
  checkWhole("cutout", "size", size, 1);
  checkRange("cutout", "p", p, 0, 1);
  return (image, random) => {
    const hit = random.chance(p);
    const top = random.integer(image.height) - (size >> 1);
    const left = random.integer(image.width) - (size >> 1);
    if (!hit) return image;
    const data = image.data.slice();
    for (let c = 0; c < image.channels; c++) {
      for (let y = Math.max(0, top); y < Math.min(image.height, top + size); y++) {
        const row = (c * image.height + y) * image.width;
        data.fill(fill, row + Math.max(0, left), row + Math.max(0, Math.min(image.width, left + size)));
      }
    }
    return withData(image, data);
  };
}

/** Multiplies all values by `factor`; results are kept in 0 to 1. */
export function adjustBrightness(image: Image, factor: number): Image {
  return withData(image, image.data.map((value) => clamp(value * factor)));
}

/** Moves all values away from the picture's mean grey (or towards it, below 1) by `factor`; results are kept in 0 to 1. */
export function adjustContrast(image: Image, factor: number): Image {
  const grey = meanGrey(image);
  return withData(image, image.data.map((value) => clamp(grey + (value - grey) * factor)));
}

/**
 * Changes brightness and then contrast by random factors from [1 - x, 1 + x]. Values are taken to be from 0 to 1.
 * @example colorJitter({ brightness: 0.2, contrast: 0.2 })
 */
export function colorJitter({ brightness = 0, contrast = 0 }: { readonly brightness?: number; readonly contrast?: number }): Transform {
  checkRange("colorJitter", "brightness", brightness, 0);
  checkRange("colorJitter", "contrast", contrast, 0);
  const factor = (x: number, uniform: number): number => Math.max(0, 1 - x) + (1 + x - Math.max(0, 1 - x)) * uniform;
  return (image, random) => {
    const brighter = factor(brightness, random.uniform());
    const stronger = factor(contrast, random.uniform());
    const lit = brightness === 0 ? image : adjustBrightness(image, brighter);
    return contrast === 0 ? lit : adjustContrast(lit, stronger);
  };
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

/** Mean brightness; with three channels, red, green and blue weigh as the eye sees them (ITU-R BT.601). */
function meanGrey({ data, channels }: Image): number {
  const weights = channels === 3 ? [0.299, 0.587, 0.114] : new Array<number>(channels).fill(1 / channels);
  const plane = data.length / channels;
  let sum = 0;
  for (let c = 0; c < channels; c++) for (let i = c * plane; i < (c + 1) * plane; i++) sum += weights[c] * data[i];
  return sum / plane;
}
