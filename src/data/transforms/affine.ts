import type { Image } from "../sample.js";
import { blank, checkRange, type Transform } from "./image.js";

/** How a picture is moved. Angles in degrees, counter-clockwise; `translate` in pixels [right, down]; `shear` in degrees along x. */
export interface AffineOptions {
  readonly angle?: number;
  readonly translate?: readonly [dx: number, dy: number];
  readonly scale?: number;
  readonly shear?: number;
}

/**
 * Shears, scales and rotates a picture about its centre, then moves it. Values between pixels are bilinear; what comes in is 0.
 *
 * Output pixel p shows the input at q = M^-1 (p - centre - t) + centre, with M = scale * R(angle) * [[1, tan(shear)], [0, 1]].
 */
export function affine(image: Image, { angle = 0, translate: [dx, dy] = [0, 0], scale = 1, shear = 0 }: AffineOptions): Image {
  const { data, channels, height, width } = image;
  const result = blank(channels, height, width);
  const radians = (angle * Math.PI) / 180;
  const [cos, sin, tan] = [Math.cos(radians) / scale, Math.sin(radians) / scale, Math.tan((shear * Math.PI) / 180)];
  // M^-1 = [[1, -tan], [0, 1]] * R(-angle) / scale; rows of a picture grow downwards, so counter-clockwise R is [[cos, sin], [-sin, cos]]
  const [a, b, c, d] = [cos - tan * sin, -sin - tan * cos, sin, cos];
  const centreX = (width - 1) / 2;
  const centreY = (height - 1) / 2;
  const plane = height * width;
  for (let y = 0; y < height; y++) {
    const v = y - centreY - dy;
    for (let x = 0; x < width; x++) {
      const u = x - centreX - dx;
      const sourceX = a * u + b * v + centreX;
      const sourceY = c * u + d * v + centreY;
      const x0 = Math.floor(sourceX);
      const y0 = Math.floor(sourceY);
      if (x0 < -1 || y0 < -1 || x0 >= width || y0 >= height) continue;
      const fx = sourceX - x0;
      const fy = sourceY - y0;
      const [left, right, top, bottom] = [x0 >= 0, x0 + 1 < width, y0 >= 0, y0 + 1 < height];
      const at = y0 * width + x0;
      for (let channel = 0; channel < channels; channel++) {
        const p = channel * plane + at;
        let value = 0;
        if (top && left) value += (1 - fy) * (1 - fx) * data[p];
        if (top && right) value += (1 - fy) * fx * data[p + 1];
        if (bottom && left) value += fy * (1 - fx) * data[p + width];
        if (bottom && right) value += fy * fx * data[p + width + 1];
        result.data[channel * plane + y * width + x] = value;
      }
    }
  }
  return result;
}

/** Options of {@link randomAffine}; each is drawn uniformly and independently. */
export interface RandomAffineOptions {
  /** Rotation by up to this many degrees either way, or [from, to]. Default 0. */
  readonly degrees?: number | readonly [from: number, to: number];
  /** Shift by up to this fraction of width and height, either way. Default none. */
  readonly translate?: readonly [x: number, y: number];
  /** Factors [from, to]. Default none. */
  readonly scale?: readonly [from: number, to: number];
  /** Shear along x by up to this many degrees either way, or [from, to]. Default 0. */
  readonly shear?: number | readonly [from: number, to: number];
}

/**
 * A random rotation, shift, scale and shear in one, as torchvision's RandomAffine (but bilinear, and with shifts of fractions of a pixel).
 *
 * Throws `argument` for ranges that make no sense.
 *
 * @example randomAffine({ degrees: 10, translate: [0.1, 0.1], scale: [0.9, 1.1], shear: 5 })
 */
export function randomAffine({ degrees = 0, translate = [0, 0], scale = [1, 1], shear = 0 }: RandomAffineOptions): Transform {
  const angles = range("degrees", degrees);
  const shears = range("shear", shear);
  checkRange("randomAffine", "shear", Math.max(...shears.map(Math.abs)), 0, 89);
  for (const part of translate) checkRange("randomAffine", "translate", part, 0, 1);
  checkRange("randomAffine", "scale", scale[0], 1e-6);
  checkRange("randomAffine", "scale", scale[1], scale[0]);
  return (image, random) =>
    affine(image, {
      angle: random.uniform(...angles),
      translate: [random.uniform(-1, 1) * translate[0] * image.width, random.uniform(-1, 1) * translate[1] * image.height],
      scale: random.uniform(...scale),
      shear: random.uniform(...shears),
    });
}

/** Rotates by a random angle of up to `degrees` either way (or from [from, to]), about the centre. */
export const randomRotation = (degrees: number | readonly [from: number, to: number]): Transform => randomAffine({ degrees });

/** Rotates counter-clockwise about the centre. */
export const rotate = (image: Image, degrees: number): Image => affine(image, { angle: degrees });

function range(name: string, value: number | readonly [number, number]): readonly [number, number] {
  if (typeof value === "number") {
    checkRange("randomAffine", name, value, 0);
    return [-value, value];
  }
  checkRange("randomAffine", name, value[0], -Infinity);
  checkRange("randomAffine", name, value[1], value[0]);
  return value;
}
