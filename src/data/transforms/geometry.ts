import type { Image } from "../sample.js";
import { blank, type Transform, toSize, checkRange, checkWhole, size3, type Size } from "./image.js";
import { GraftError } from "../../base/index.js";

/**
 * The part of a picture whose top left corner is (`top`, `left`); what lies outside of the picture is 0. So it also pads, and shifts.
 */
export function crop(image: Image, top: number, left: number, height: number, width: number): Image {
  const result = blank(image.channels, height, width);
  const firstRow = Math.max(0, -top);
  const lastRow = Math.min(height, image.height - top);
  const firstColumn = Math.max(0, -left);
  const lastColumn = Math.min(width, image.width - left);
  if (lastColumn <= firstColumn) return result;
  for (let c = 0; c < image.channels; c++) {
    for (let y = firstRow; y < lastRow; y++) {
      const from = (c * image.height + y + top) * image.width + left;
      result.data.set(image.data.subarray(from + firstColumn, from + lastColumn), (c * height + y) * width + firstColumn);
    }
  }
  return result;
}

/** Moves a picture by whole pixels, to the right and down; what comes in is 0. */
export const shift = (image: Image, dx: number, dy: number): Image => crop(image, -dy, -dx, image.height, image.width);

/** Mirrors left and right. */
export function flipHorizontal(image: Image): Image {
  const { data, width } = image;
  const result = new Float32Array(data.length);
  for (let row = 0; row < data.length; row += width) for (let x = 0; x < width; x++) result[row + x] = data[row + width - 1 - x];
  return { ...image, data: result };
}

/** Mirrors top and bottom. */
export function flipVertical(image: Image): Image {
  const { data, channels, height, width } = image;
  const result = new Float32Array(data.length);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * height + y) * width;
      result.set(data.subarray(from, from + width), (c * height + height - 1 - y) * width);
    }
  }
  return { ...image, data: result };
}

/**
 * Cuts out the middle, [height, width]; a smaller picture is padded with 0.
 * @example centerCrop([24, 24])
 */
export function centerCrop(size: Size): Transform {
  const [height, width] = toSize("centerCrop", size);
  return (image) => crop(image, Math.round((image.height - height) / 2), Math.round((image.width - width) / 2), height, width);
}

/**
 * Cuts out a random part, [height, width], after `padding` zeros were put around the picture.
 *
 * Throws `shape` when the padded picture is smaller.
 *
 * @example randomCrop(16, { padding: 2 })
 */
export function randomCrop(size: Size, { padding = 0 }: { readonly padding?: number } = {}): Transform {
  const [height, width] = toSize("randomCrop", size);
  checkWhole("randomCrop", "padding", padding, 0);
  return (image, random) => {
    const rows = image.height + 2 * padding - height;
    const columns = image.width + 2 * padding - width;
    if (rows < 0 || columns < 0) {
      throw new GraftError(
        "shape",
        `randomCrop: a picture of ${size3(image)} with padding ${padding} is smaller than ${height}x${width}. Use more padding or a smaller crop.`,
      );
    }
    return crop(image, random.integer(rows + 1) - padding, random.integer(columns + 1) - padding, height, width);
  };
}

/** Moves a picture by up to `pixels` (whole ones) in each direction; what comes in is 0. */
export function randomShift(pixels: number): Transform {
  checkWhole("randomShift", "pixels", pixels, 0);
  return (image, random) => {
    const dx = random.integer(2 * pixels + 1) - pixels;
    const dy = random.integer(2 * pixels + 1) - pixels;
    return dx === 0 && dy === 0 ? image : shift(image, dx, dy);
  };
}

/** Mirrors left and right with probability `p`. */
export function randomHorizontalFlip(p = 0.5): Transform {
  checkRange("randomHorizontalFlip", "p", p, 0, 1);
  return (image, random) => (random.chance(p) ? flipHorizontal(image) : image);
}

/** Mirrors top and bottom with probability `p`. */
export function randomVerticalFlip(p = 0.5): Transform {
  checkRange("randomVerticalFlip", "p", p, 0, 1);
  return (image, random) => (random.chance(p) ? flipVertical(image) : image);
}
