import { checkOptions, GraftError } from "../../base/index.js";
import { Tensor } from "../../graph/index.js";
import { F, iota } from "../../ops/index.js";
import * as nn from "../../nn/index.js";
import { nextTokenLoss } from "./loss.js";
import type { CacheOptions, TextConfig, TextInputs, TextOutput } from "./types.js";

const known = ["attentionMask", "positionIds", "segmentIds", "labels", "reduction", "cache", "logitsToKeep"] as const;

/** Sizes that a cache needs. */
export interface CacheShape {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
}

/** A decoder with a head over the vocabulary: what all next-token models share. A subclass builds its trunk and runs it in `trunk`. */
export abstract class CausalLM<C extends TextConfig = TextConfig> extends nn.Module {
  constructor(
    /** What config.json holds, with the defaults filled in. */
    readonly config: C,
  ) {
    super();
  }

  /** Token ids [B, T] to hidden states [B, T, C]. */
  protected abstract trunk(inputIds: Tensor, inputs: TextInputs): Tensor;
  /** Hidden states [B, T, C] to logits [B, T, V]. */
  protected abstract head(hidden: Tensor): Tensor;
  /** Sizes of the cache. */
  protected abstract cacheShape(): CacheShape;

  /** Logits of the next token at every position, and with labels the mean cross entropy of predicting each from those before it. */
  forward(inputIds: Tensor, inputs: TextInputs = {}): TextOutput {
    const name = this.constructor.name;
    checkOptions(name, inputs, known);
    if (inputIds.ndim !== 2) throw new GraftError("shape", `${name}: inputIds have ${inputIds.ndim} dim(s). Pass token ids [B, T], also for one sequence: [1, T].`);
    const { labels, logitsToKeep, cache, reduction } = inputs;
    if (labels !== undefined && logitsToKeep !== undefined) throw new GraftError("argument", `${name}: labels need all logits. Leave logitsToKeep out.`);
    const T = inputIds.shape[1];
    if (cache !== undefined && cache.length + T > cache.capacity) cache.reserve(64 * Math.ceil((cache.length + T) / 64));
    const hidden = this.trunk(inputIds, inputs);
    cache?.advance(T);
    const logits = this.head(logitsToKeep === undefined ? hidden : keep(hidden, logitsToKeep));
    return labels === undefined ? { logits, hidden } : { logits, hidden, loss: nextTokenLoss(name, logits, labels, reduction) };
  }

  /** Longest sequence that there are positions for; undefined where positions are computed, which goes on for ever. */
  get maxPositions(): number | undefined {
    return undefined;
  }

  /** An empty cache for this model. */
  newCache({ batch = 1, capacity, dtype }: CacheOptions = {}): nn.KVCache {
    return new nn.KVCache({ ...this.cacheShape(), batch, ...(capacity === undefined ? {} : { capacity }), ...(dtype === undefined ? {} : { dtype }) });
  }
}

/** Positions [T] of new tokens: those after what the cache holds. */
export function positionsOf(T: number, { positionIds, cache }: TextInputs): Tensor {
  if (positionIds !== undefined) return positionIds;
  return cache === undefined ? iota([T], 0) : F.add(iota([T], 0), cache.slot);
}

/** The mask of a decoder's tokens, with a sliding window where one is given. */
export function decoderMask(T: number, { attentionMask, segmentIds, cache }: TextInputs, window?: number): nn.AttentionMask {
  return nn.attentionMask({ queries: T, causal: true, window, attentionMask, segmentIds, ...(cache === undefined ? {} : { keys: cache.capacity, start: cache.slot }) });
}

function keep(hidden: Tensor, which: number | Tensor): Tensor {
  if (which instanceof Tensor) return F.indexSelect(hidden, 1, which);
  const T = hidden.shape[1];
  if (!Number.isInteger(which) || which < 1 || which > T) throw new GraftError("argument", `logitsToKeep is ${which}, there are ${T} positions. Use 1 to ${T}.`);
  return F.narrow(hidden, 1, T - which, which);
}
