import type { DType, Tensor } from "../../graph/index.js";
import type { JsonObject } from "../../io/index.js";
import type { KVCache, Module } from "../../nn/index.js";

/** What the `forward` of a text model takes besides token ids; a model refuses what it has no use for. */
export interface TextInputs {
  /** [B, S], 1 at real tokens and 0 at padding (S counts cached tokens too); or [B, T, S], 1 where a token may look at another. */
  readonly attentionMask?: Tensor;
  /** Position of each token, [T] or [B, T]. Default: 0, 1, ... (behind what a cache holds). */
  readonly positionIds?: Tensor;
  /** Segment of each token, [B, T], for BERT. Default: 0. */
  readonly tokenTypeIds?: Tensor;
  /** [B, T]: samples packed into one row do not see each other; give `positionIds` that begin at 0 in each. Decoders only. */
  readonly segmentIds?: Tensor;
  /**
   * Token ids [B, T] for language models (a decoder's are shifted inside, so pass the inputs themselves), class ids [B] or [B, T] for classifiers;
   * -100 does not count.
   */
  readonly labels?: Tensor;
  /** Encoders with a head over tokens only: the tokens that logits are wanted of, by their number in B x T, as i32 [n]; logits are then [1, n, V] and labels [1, n]. */
  readonly labelPositions?: Tensor;
  /** "mean" over the labels that count (the default), or "sum". */
  readonly reduction?: "mean" | "sum";
  /** Decoders only: keys and values of earlier tokens; the new ones are added. */
  readonly cache?: KVCache;
  /** Decoders only: logits of the last n tokens, or of those at the positions that an i32 tensor [n] names. Not with labels. */
  readonly logitsToKeep?: number | Tensor;
}

/** What a text model gives. */
export interface TextOutput {
  /** [B, T, V] of a language model, [B, classes] or [B, T, classes] of a classifier. */
  readonly logits: Tensor;
  /** A scalar, where labels were given. */
  readonly loss?: Tensor;
  /** The trunk's last hidden states, [B, T, C]. */
  readonly hidden: Tensor;
}

/** A config as Hugging Face writes it; the keys that a model reads have their types in its own config type. */
export type TextConfig = JsonObject & {
  readonly model_type: string;
  readonly architectures?: readonly string[];
};

/** A model of this folder: token ids [B, T] in, logits out. */
export type TextModel = Module & {
  readonly config: TextConfig;
  forward(inputIds: Tensor, inputs?: TextInputs): TextOutput;
};

/** Options of `newCache`. */
export interface CacheOptions {
  /** Number of sequences. Default: 1. */
  readonly batch?: number;
  /** Room for this many tokens at first. Default: 64. */
  readonly capacity?: number;
  /** Default: f32. */
  readonly dtype?: DType;
}

/** A text model that predicts the next token and can keep a cache: what `generate` takes. */
export type CausalModel = TextModel & {
  newCache(options?: CacheOptions): KVCache;
  /** Longest sequence that it has positions for; undefined where positions are computed. */
  readonly maxPositions?: number;
  /** Keys of a sequence that grows beyond this length must be computed again (LongRoPE has other frequencies there). */
  readonly cacheLimit?: number;
};

/** Whether a model is one of those that predict next tokens. */
export const isCausal = (model: Module): model is CausalModel => typeof (model as { readonly newCache?: unknown }).newCache === "function";
