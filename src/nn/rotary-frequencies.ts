import { checkNumber, GraftError } from "../base/index.js";

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

/** Inverse frequencies of a rotary embedding: radians per position, one per pair of dims, for a sequence of `length` positions. */
export function rotaryFrequencies(dim: number, theta: number, scaling: RotaryScaling | undefined, length: number): Float32Array {
  const plain = (base: number): Float32Array => Float32Array.from({ length: dim / 2 }, (_, i) => 1 / base ** ((2 * i) / dim)); // theta^(-2i/d)
  switch (scaling?.type) {
    case undefined:
      return plain(theta);
    case "linear":
      return plain(theta).map((f) => f / scaling.factor);
    case "dynamic": {
      const { factor, maxPositions } = scaling;
      const stretch = (factor * Math.max(length, maxPositions)) / maxPositions - (factor - 1);
      return plain(theta * stretch ** (dim / (dim - 2)));
    }
    case "llama3": {
      const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
      return plain(theta).map((f) => {
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
      return plain(theta).map((f, i) => {
        const ramp = Math.min(Math.max((i - low) / width, 0), 1);
        return (f / factor) * ramp + f * (1 - ramp);
      });
    }
    case "longrope": {
      const factors = length > scaling.originalMaxPositions ? scaling.longFactor : scaling.shortFactor;
      if (factors.length !== dim / 2) throw new GraftError("argument", `rotary: longrope has ${factors.length} factors for ${dim} rotated dims. It needs one per pair: ${dim / 2}.`);
      return plain(theta).map((f, i) => f / factors[i]);
    }
  }
}

/** Checks the numbers of a scaling. Throws `argument`. */
export function checkRotaryScaling(scaling: RotaryScaling): void {
  if (scaling.type !== "longrope") checkNumber("rotary", "factor", scaling.factor, { above: 0 });
  if ("originalMaxPositions" in scaling) checkNumber("rotary", "originalMaxPositions", scaling.originalMaxPositions, { min: 1, whole: true });
  if (scaling.type === "llama3" && !(scaling.highFreqFactor > scaling.lowFreqFactor)) {
    throw new GraftError("argument", `rotary: highFreqFactor ${scaling.highFreqFactor} is not above lowFreqFactor ${scaling.lowFreqFactor}. Swap them.`);
  }
}
