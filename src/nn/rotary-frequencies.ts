import { checkNumber, GraftError } from "../base/index.js";
import { tensor, type Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";

/** How rotary frequencies are stretched for sequences longer than those of pretraining. */
export type RotaryScaling =
  /** Positions divided by `factor` (Chen et al., "Extending context window of large language models via positional interpolation", 2023). */
  | { readonly type: "linear"; readonly factor: number }
  /** A larger base for sequences longer than `maxPositions` ("NTK-aware" scaling). */
  | { readonly type: "dynamic"; readonly factor: number; readonly maxPositions: number }
  /** Llama 3.1: long waves are stretched by `factor`, short ones kept, those between `lowFreqFactor` and `highFreqFactor` blended. */
  | { readonly type: "llama3"; readonly factor: number; readonly lowFreqFactor: number; readonly highFreqFactor: number; readonly originalMaxPositions: number }
  /** YaRN (Peng et al., 2023): the same idea, blended between `betaSlow` and `betaFast` rotations; `attentionFactor` scales cosine and sine. */
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalMaxPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly attentionFactor: number;
      readonly truncate: boolean;
    }
  /** LongRoPE (Ding et al., 2024): one factor per frequency, another set behind `originalMaxPositions`. */
  | {
      readonly type: "longrope";
      readonly shortFactor: readonly number[];
      readonly longFactor: readonly number[];
      readonly originalMaxPositions: number;
      readonly attentionFactor: number;
    };

/** theta^(-2i/d) for each pair i of dims. */
const plain = (dim: number, theta: number): Float32Array => Float32Array.from({ length: dim / 2 }, (_, i) => 1 / theta ** ((2 * i) / dim));

/** Inverse frequencies of a rotary embedding, radians per position for each pair of dims, where they do not depend on the sequence. */
export function fixedFrequencies(dim: number, theta: number, scaling: RotaryScaling | undefined): Float32Array {
  switch (scaling?.type) {
    case "linear":
      return plain(dim, theta).map((f) => f / scaling.factor);
    case "llama3": {
      const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
      return plain(dim, theta).map((f) => {
        const turns = (originalMaxPositions * f) / (2 * Math.PI); // rotations within the length of pretraining
        if (turns > highFreqFactor) return f;
        if (turns < lowFreqFactor) return f / factor;
        const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
        return ((1 - smooth) * f) / factor + smooth * f;
      });
    }
    case "yarn": {
      const { factor, originalMaxPositions, betaFast, betaSlow, truncate } = scaling;
      const dimOf = (turns: number): number => (dim * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
      const low = Math.max(truncate ? Math.floor(dimOf(betaFast)) : dimOf(betaFast), 0);
      const high = Math.min(truncate ? Math.ceil(dimOf(betaSlow)) : dimOf(betaSlow), dim - 1);
      const width = high === low ? 0.001 : high - low;
      return plain(dim, theta).map((f, i) => {
        const ramp = Math.min(Math.max((i - low) / width, 0), 1);
        return (f / factor) * ramp + f * (1 - ramp);
      });
    }
    default:
      return plain(dim, theta);
  }
}

/** Inverse frequencies [dim / 2] that follow from the length of the sequence, a scalar of f32; undefined where the scaling does not ask for it. */
export function frequenciesOfLength(dim: number, theta: number, scaling: RotaryScaling | undefined, length: Tensor): Tensor | undefined {
  if (scaling?.type === "dynamic") {
    const { factor, maxPositions } = scaling;
    // The base grows by stretch^(d / (d - 2)), stretch = factor L / maxPositions - (factor - 1); f_i = base^(-2i/d).
    const stretch = F.sub(F.mul(F.maximum(length, maxPositions), factor / maxPositions), factor - 1);
    const logBase = F.add(F.mul(F.log(stretch), dim / (dim - 2)), Math.log(theta));
    return F.exp(F.mul(logBase, tensor(Float32Array.from({ length: dim / 2 }, (_, i) => (-2 * i) / dim))));
  }
  if (scaling?.type === "longrope") {
    const base = plain(dim, theta);
    const [short, long] = [scaling.shortFactor, scaling.longFactor].map((factors) => tensor(base.map((f, i) => f / factors[i])));
    return F.where(F.gt(length, scaling.originalMaxPositions), long, short);
  }
  return undefined;
}

/** Checks the numbers of a scaling for `dim` rotated dims. Throws `argument`. */
export function checkRotaryScaling(dim: number, scaling: RotaryScaling): void {
  if (scaling.type !== "longrope") checkNumber("rotary", "factor", scaling.factor, { above: 0 });
  else {
    for (const { length } of [scaling.shortFactor, scaling.longFactor]) {
      if (length !== dim / 2) throw new GraftError("argument", `rotary: longrope has ${length} factors for ${dim} rotated dims. It needs one per pair: ${dim / 2}.`);
    }
  }
  if ("originalMaxPositions" in scaling) checkNumber("rotary", "originalMaxPositions", scaling.originalMaxPositions, { min: 1, whole: true });
  if (scaling.type === "llama3" && !(scaling.highFreqFactor > scaling.lowFreqFactor)) {
    throw new GraftError("argument", `rotary: highFreqFactor ${scaling.highFreqFactor} is not above lowFreqFactor ${scaling.lowFreqFactor}. Swap them.`);
  }
}
