import { blank, toSize, type Size, type Transform } from "./image.js";

/**
 * Resizes to [height, width]. `nearest` takes the pixel under each new pixel's centre, `bilinear` mixes the four around it (as PyTorch's
 * `interpolate` with `alignCorners: false`; no smoothing when it shrinks).
 *
 * @example resize([32, 32], { mode: "nearest" })
 */
export function resize(size: Size, { mode = "bilinear" }: { readonly mode?: "nearest" | "bilinear" } = {}): Transform {
  const [height, width] = toSize("resize", size);
  return (image) => {
    if (image.height === height && image.width === width) return image;
    const result = blank(image.channels, height, width);
    const rows = axis(image.height, height, mode);
    const columns = axis(image.width, width, mode);
    for (let c = 0; c < image.channels; c++) {
      const plane = image.data.subarray(c * image.height * image.width, (c + 1) * image.height * image.width);
      for (let y = 0; y < height; y++) {
        const top = rows.low[y] * image.width;
        const bottom = rows.high[y] * image.width;
        const fy = rows.fraction[y];
        for (let x = 0; x < width; x++) {
          const [left, right, fx] = [columns.low[x], columns.high[x], columns.fraction[x]];
          const upper = plane[top + left] * (1 - fx) + plane[top + right] * fx;
          const lower = plane[bottom + left] * (1 - fx) + plane[bottom + right] * fx;
          result.data[(c * height + y) * width + x] = upper * (1 - fy) + lower * fy;
        }
      }
    }
    return result;
  };
}

/** For each new position along one axis: the two old ones it lies between, and how far it is from the first. */
function axis(from: number, to: number, mode: "nearest" | "bilinear"): { low: Int32Array; high: Int32Array; fraction: Float64Array } {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const fraction = new Float64Array(to);
  for (let i = 0; i < to; i++) {
    const centre = ((i + 0.5) * from) / to; // pixel i covers [i, i + 1), its centre is i + 0.5
    if (mode === "nearest") low[i] = high[i] = Math.min(from - 1, Math.floor(centre));
    else {
      const at = Math.max(0, centre - 0.5);
      low[i] = Math.min(from - 1, Math.floor(at));
      high[i] = Math.min(from - 1, low[i] + 1);
      fraction[i] = at - low[i];
    }
  }
  return { low, high, fraction };
}
