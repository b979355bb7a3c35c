import { GraftError } from "../../base/index.js";
import { showShape, sizeOf } from "../../graph/index.js";
import type { Random } from "../random.js";
import type { HostArray, HostBatch } from "../sample.js";
import { checkRange } from "./image.js";

/** Options of {@link mixup} and {@link cutmix}. */
export interface MixOptions {
  /** Parameter of the beta distribution of the mixing weight. Default: 0.2 for mixup, 1 for cutmix. */
  readonly alpha?: number;
  /** Number of classes, to turn whole labels into rows of probabilities; not needed where targets are such rows already. */
  readonly classes?: number;
}

/**
 * Mixes each input of a batch with another one, and their targets alike: x = w x + (1 - w) x', with one w ~ Beta(alpha, alpha) per batch
 * (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018). For a loader's `batchTransform`; targets become f32 [B, classes].
 *
 * Throws `index` for a label outside of 0 to classes - 1, `dtype` or `shape` for other batches than [inputs f32, targets].
 *
 * @example
 * new DataLoader(train, { batchSize: 64, shuffle: true, batchTransform: mixup({ classes: 10 }) });
 */
export function mixup({ alpha = 0.2, classes }: MixOptions = {}): (batch: HostBatch, random: Random) => HostBatch {
  checkRange("mixup", "alpha", alpha, 1e-6);
  return (batch, random) => {
    const [inputs, targets] = inputsAndTargets("mixup", batch, classes);
    const weight = random.beta(alpha, alpha);
    const partners = random.permutation(inputs.shape[0]);
    return [blend(inputs, partners, weight), blend(targets, partners, weight)];
  };
}

/**
 * Pastes a random rectangle of another picture into each one of a batch [B, C, H, W]; targets are mixed by area
 * (Yun et al., "CutMix", 2019). For a loader's `batchTransform`; targets become f32 [B, classes]. Throws as `mixup`.
 */
export function cutmix({ alpha = 1, classes }: MixOptions = {}): (batch: HostBatch, random: Random) => HostBatch {
  checkRange("cutmix", "alpha", alpha, 1e-6);
  return (batch, random) => {
    const [inputs, targets] = inputsAndTargets("cutmix", batch, classes);
    if (inputs.shape.length !== 4) throw new GraftError("shape", `cutmix: inputs are ${showShape(inputs.shape)}. It takes pictures, [B, C, H, W].`);
    const [count, channels, height, width] = inputs.shape;
    const cut = Math.sqrt(1 - random.beta(alpha, alpha)); // side of the rectangle, as a fraction
    const partners = random.permutation(count);
    const [top, bottom] = span(random.integer(height), Math.floor(height * cut), height);
    const [left, right] = span(random.integer(width), Math.floor(width * cut), width);
    const data = (inputs.data as Float32Array).slice();
    for (let i = 0; i < count; i++) {
      for (let c = 0; c < channels; c++) {
        for (let y = top; y < bottom; y++) {
          const from = ((partners[i] * channels + c) * height + y) * width;
          data.set((inputs.data as Float32Array).subarray(from + left, from + right), ((i * channels + c) * height + y) * width + left);
        }
      }
    }
    const kept = 1 - ((bottom - top) * (right - left)) / (height * width);
    return [{ ...inputs, data }, blend(targets, partners, kept)];
  };
}

/** The part [from, to) of a length around `centre`, cut at the borders. */
function span(centre: number, length: number, limit: number): [number, number] {
  const from = centre - (length >> 1);
  return [Math.max(0, from), Math.min(limit, from + length)];
}

function blend(array: HostArray, partners: Uint32Array, weight: number): HostArray {
  const row = sizeOf(array.shape.slice(1));
  const data = new Float32Array(array.data.length);
  for (let i = 0; i < partners.length; i++) {
    for (let j = 0; j < row; j++) data[i * row + j] = weight * array.data[i * row + j] + (1 - weight) * array.data[partners[i] * row + j];
  }
  return { ...array, data };
}

function inputsAndTargets(op: string, batch: HostBatch, classes: number | undefined): [HostArray, HostArray] {
  const fields = batch as readonly HostArray[];
  if (!Array.isArray(batch) || fields.length !== 2) {
    throw new GraftError("argument", `${op}: the batch is not [inputs, targets]. Use it where samples are pairs.`);
  }
  const [inputs, targets] = fields;
  if (inputs.dtype !== "f32") throw new GraftError("dtype", `${op}: inputs are ${inputs.dtype}, f32 is needed. Convert the samples.`);
  if (targets.dtype === "f32" && targets.shape.length === 2) return [inputs, targets];
  if (targets.dtype !== "i32" || targets.shape.length !== 1) {
    throw new GraftError(
      "dtype",
      `${op}: targets are ${targets.dtype} ${showShape(targets.shape)}. Give whole labels, i32 [B], or probabilities, f32 [B, classes].`,
    );
  }
  if (classes === undefined) throw new GraftError("argument", `${op}: targets are labels, so it must know how many classes there are. Pass classes.`);
  return [inputs, oneHot(op, targets, classes)];
}

function oneHot(op: string, { data: labels }: HostArray, classes: number): HostArray {
  const data = new Float32Array(labels.length * classes);
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] < 0 || labels[i] >= classes) {
      throw new GraftError("index", `${op}: label ${labels[i]} (row ${i} of the batch) is out of range for ${classes} classes. Use 0 to ${classes - 1}.`);
    }
    data[i * classes + labels[i]] = 1;
  }
  return { dtype: "f32", shape: [labels.length, classes], data };
}
