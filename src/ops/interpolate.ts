import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";
import { showShape, tensor, type DType, type Tensor } from "../graph/index.js";
import { indexSelect } from "./gather.js";
import { expand, permute, reshape } from "./movement.js";
import { asTensor, toFloat } from "./operand.js";
import { add, mul } from "./scalar.js";

/** How new positions get their values. `linear` is for [B, C, W], `bilinear` and `bicubic` for [B, C, H, W], `trilinear` for [B, C, D, H, W]. */
export type InterpolateMode = "nearest" | "nearest-exact" | "linear" | "bilinear" | "trilinear" | "bicubic";
const modes: readonly InterpolateMode[] = ["nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic"];
const spatialDims: Partial<Record<InterpolateMode, number>> = { linear: 1, bilinear: 2, bicubic: 2, trilinear: 3 };

/** Options of {@link interpolate}; exactly one of `size` and `scaleFactor` is given, as one number or one per spatial dim. */
export interface InterpolateOptions {
  readonly size?: number | readonly number[];
  readonly scaleFactor?: number | readonly number[];
  readonly mode?: InterpolateMode;
  /** Corner pixels keep their place (not for nearest); false by default. */
  readonly alignCorners?: boolean;
}

/** For every output position: source indices and their weights, tap by tap. */
export interface Taps {
  readonly indices: readonly Int32Array[];
  readonly weights: readonly Float64Array[] | undefined; // undefined: one tap of weight 1
}

/** Weights of Keys' cubic convolution (1981) with a = -0.75 at distances 1 + t, t, 1 - t, 2 - t. */
function cubicWeights(t: number): [number, number, number, number] {
  const a = -0.75;
  const near = (d: number): number => ((a + 2) * d - (a + 3)) * d * d + 1; // |d| <= 1
  const far = (d: number): number => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; // 1 < |d| < 2
  return [far(1 + t), near(t), near(1 - t), far(2 - t)];
}

/** Where `out` positions read from `size` ones; `scale` is input steps per output step. */
export function resampleTaps(mode: InterpolateMode, size: number, out: number, scale: number, alignCorners: boolean): Taps {
  const clip = (i: number): number => Math.max(0, Math.min(size - 1, i));
  if (mode === "nearest" || mode === "nearest-exact") {
    // In f32, as PyTorch: products that land on a whole number only after rounding (49 * (1 / 49)) then pick the same neighbour.
    const shift = mode === "nearest" ? 0 : 0.5;
    const step = Math.fround(scale);
    return { indices: [Int32Array.from({ length: out }, (_, i) => clip(Math.floor(Math.fround((i + shift) * step))))], weights: undefined };
  }
  const corner = out > 1 ? (size - 1) / (out - 1) : 0;
  const cubic = mode === "bicubic";
  const position = (i: number): number => (alignCorners ? i * corner : cubic ? (i + 0.5) * scale - 0.5 : Math.max(0, (i + 0.5) * scale - 0.5));
  const count = cubic ? 4 : 2;
  const indices = Array.from({ length: count }, () => new Int32Array(out));
  const weights = Array.from({ length: count }, () => new Float64Array(out));
  for (let i = 0; i < out; i++) {
    const at = position(i);
    const base = Math.floor(at);
    const t = at - base;
    const own = cubic ? cubicWeights(t) : [1 - t, t];
    for (let k = 0; k < count; k++) {
      indices[k][i] = clip(base + k - (cubic ? 1 : 0));
      weights[k][i] = own[k];
    }
  }
  return { indices, weights };
}

function resample(x: Tensor, dim: number, { indices, weights }: Taps): Tensor {
  const along = (values: Float64Array, dtype: DType): Tensor => tensor(values, { dtype, shape: x.shape.slice(dim).map((_, d) => (d === 0 ? values.length : 1)) });
  const parts = indices.map((index, k) => {
    const picked = indexSelect(x, dim, tensor(index, { dtype: "i32" }));
    return weights === undefined ? picked : mul(picked, along(weights[k], x.dtype));
  });
  return parts.reduce((total, part) => add(total, part));
}

/** Every element repeated `factor` times along `dim`, as a view: nearest neighbours for whole factors. */
function repeatEach(x: Tensor, dim: number, factor: number): Tensor {
  const split = [...x.shape.slice(0, dim + 1), 1, ...x.shape.slice(dim + 1)];
  const wide = expand(reshape(x, split), split.map((n, d) => (d === dim + 1 ? factor : n)));
  return reshape(wide, x.shape.map((n, d) => (d === dim ? n * factor : n)));
}

/** One number per spatial dim from an option that may be a single number. */
function perDim(name: "size" | "scaleFactor", value: number | readonly number[], count: number): readonly number[] {
  const list = typeof value === "number" ? new Array<number>(count).fill(value) : value;
  if (!Array.isArray(list) || list.length !== count) throw new GraftError("argument", `interpolate: ${name} is ${JSON.stringify(value)}; x has ${count} spatial dims. Pass one number, or one per spatial dim.`);
  return list.map((n: number) => checkNumber("interpolate", name, n, name === "size" ? { min: 1, whole: true } : { above: 0, max: 1e6 }));
}

/**
 * Resizes the spatial dims of x [B, C, ...] to `size` or by `scaleFactor`.
 * @throws GraftError `argument` unless exactly one of the two is given, `shape` when x does not have the dims that the mode needs.
 * @example F.interpolate(x, { scaleFactor: 2 }); // [B, C, H, W] -> [B, C, 2H, 2W], nearest neighbours
 */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  checkOptions("interpolate", options, ["size", "scaleFactor", "mode", "alignCorners"]);
  const floats = toFloat(asTensor("interpolate", "x", x));
  const { size, scaleFactor, mode = "nearest", alignCorners = false } = options ?? {};
  checkChoice("interpolate", "mode", mode, modes);
  const spatial = x.ndim - 2;
  const wanted = spatialDims[mode] ?? Math.max(1, spatial);
  if (spatial !== wanted) throw new GraftError("shape", `interpolate: x is ${showShape(x.shape)}. Mode "${mode}" needs [B, C] and ${wanted === 1 && spatialDims[mode] === undefined ? "one or more" : wanted} spatial dims.`);
  if ((size === undefined) === (scaleFactor === undefined)) throw new GraftError("argument", "interpolate: exactly one of size and scaleFactor is needed. Pass { size } or { scaleFactor }.");
  if (alignCorners && mode.startsWith("nearest")) throw new GraftError("argument", `interpolate: alignCorners does not apply to mode "${mode}". Leave it out or use a linear mode.`);
  if (x.size === 0) throw new GraftError("shape", `interpolate: x ${showShape(x.shape)} is empty. There is nothing to read from.`);
  const factors = scaleFactor === undefined ? undefined : perDim("scaleFactor", scaleFactor, spatial);
  const sizes = size === undefined ? undefined : perDim("size", size, spatial);
  let result = floats;
  for (let s = 0; s < spatial; s++) {
    const [dim, from] = [s + 2, x.shape[s + 2]];
    const to = sizes?.[s] ?? Math.floor(from * factors![s]);
    if (to < 1) throw new GraftError("argument", `interpolate: scaleFactor ${factors?.[s]} leaves nothing of dim ${dim} of x ${showShape(x.shape)}. Use at least ${1 / from}.`);
    const scale = factors === undefined ? from / to : 1 / factors[s];
    if (mode.startsWith("nearest") && to % from === 0 && scale === from / to) result = repeatEach(result, dim, to / from);
    else if (to !== from || (mode === "bicubic" && scale !== 1)) result = resample(result, dim, resampleTaps(mode, from, to, scale, alignCorners));
  }
  return result;
}

/**
 * Moves channels into space: [..., C r^2, H, W] becomes [..., C, H r, W r] (Shi et al., 2016).
 * @throws GraftError `shape` when the channels are not a multiple of r^2.
 * @example F.pixelShuffle(x, 2); // [1, 8, 2, 3] -> [1, 2, 4, 6]
 */
export function pixelShuffle(x: Tensor, upscaleFactor: number): Tensor {
  const r = checkNumber("pixelShuffle", "upscaleFactor", upscaleFactor, { min: 1, whole: true });
  if (asTensor("pixelShuffle", "x", x).ndim < 3 || x.shape[x.ndim - 3] % (r * r) !== 0) {
    throw new GraftError("shape", `pixelShuffle: x is ${showShape(x.shape)}. It must be [..., C * ${r * r}, H, W] for upscaleFactor ${r}.`);
  }
  const lead = x.shape.slice(0, -3);
  const [channels, h, w] = [x.shape[x.ndim - 3] / (r * r), ...x.shape.slice(-2)];
  const batch = lead.reduce((size, n) => size * n, 1);
  const split = permute(reshape(x, [batch, channels, r, r, h, w]), [0, 1, 4, 2, 5, 3]); // [B, C, H, r, W, r]
  return reshape(split, [...lead, channels, h * r, w * r]);
}

/**
 * Moves space into channels, the inverse of {@link pixelShuffle}: [..., C, H r, W r] becomes [..., C r^2, H, W].
 * @throws GraftError `shape` when H or W is not a multiple of r.
 * @example F.pixelUnshuffle(x, 2); // [1, 2, 4, 6] -> [1, 8, 2, 3]
 */
export function pixelUnshuffle(x: Tensor, downscaleFactor: number): Tensor {
  const r = checkNumber("pixelUnshuffle", "downscaleFactor", downscaleFactor, { min: 1, whole: true });
  if (asTensor("pixelUnshuffle", "x", x).ndim < 3 || x.shape[x.ndim - 1] % r !== 0 || x.shape[x.ndim - 2] % r !== 0) {
    throw new GraftError("shape", `pixelUnshuffle: x is ${showShape(x.shape)}. It must be [..., C, H, W] with H and W multiples of ${r}.`);
  }
  const lead = x.shape.slice(0, -3);
  const [channels, h, w] = [x.shape[x.ndim - 3], x.shape[x.ndim - 2] / r, x.shape[x.ndim - 1] / r];
  const batch = lead.reduce((size, n) => size * n, 1);
  const split = permute(reshape(x, [batch, channels, h, r, w, r]), [0, 1, 3, 5, 2, 4]); // [B, C, r, r, H, W]
  return reshape(split, [...lead, channels * r * r, h, w]);
}
