import { checkNumber, checkOptions, GraftError } from "../../base/index.js";
import { isFloat, showShape, Tensor } from "../../graph/index.js";
import { getRandomState, setRandomState } from "../../ops/index.js";
import { Random } from "../../data/index.js";
import type { JsonObject } from "../../io/index.js";
import { endTokens, generationConfigOf, tokenIds } from "../text/files.js";
import type { CausalModel } from "../text/types.js";
import type { SamplingOptions } from "./logits.js";

/** Options of `generate` and `stream`. */
export interface GenerateOptions extends SamplingOptions {
  /** Default: 128. */
  readonly maxNewTokens?: number;
  /** The end-of-text token is not taken before so many tokens. Default: 0. */
  readonly minNewTokens?: number;
  /** Tokens that end a sequence; null: none. Default: those of the checkpoint. */
  readonly eosTokenId?: number | readonly number[] | null;
  /** Fills shorter prompts on the left and ended sequences. Default: the checkpoint's, else its end of text. */
  readonly padTokenId?: number;
  /** A sequence ends when its new tokens end with one of these. */
  readonly stopSequences?: readonly (readonly number[])[];
  /** A sequence ends when this says so of its new tokens: for stop strings, decode them. */
  readonly stopWhen?: (newTokens: readonly number[], sequence: number) => boolean;
  /** Same seed, same tokens. Default: from `manualSeed`, another one at each call. */
  readonly seed?: number;
  /** Also return the log probabilities (of the model itself, at temperature 1) of the tokens taken and of this many of the most likely ones. Default: none. */
  readonly logprobs?: number;
  /** Stops the generation early; what there is is returned. */
  readonly signal?: AbortSignal;
}

const known = ["temperature", "topK", "topP", "minP", "repetitionPenalty", "maxNewTokens", "minNewTokens", "eosTokenId", "padTokenId", "stopSequences", "stopWhen", "seed", "logprobs", "signal"] as const;

/** Token ids to start from: one sequence, or several of any lengths. */
export type Prompts = Tensor | readonly number[] | readonly (readonly number[])[];

/** Options with their defaults. */
export interface Settings extends GenerateOptions {
  readonly maxNewTokens: number;
  readonly minNewTokens: number;
  readonly eos: ReadonlySet<number>;
  readonly pad: number;
  readonly sampled: boolean;
}

/** Checks options and fills in what the checkpoint says. Throws `argument`. */
export function settingsOf(op: string, model: CausalModel, options: GenerateOptions, more: readonly string[] = []): Settings {
  checkOptions(op, options, [...known, ...more] as (keyof GenerateOptions & string)[]);
  const { temperature = 0, topK, topP, minP, repetitionPenalty, maxNewTokens = 128, minNewTokens = 0 } = options;
  checkNumber(op, "temperature", temperature, { min: 0 });
  if (topK !== undefined) checkNumber(op, "topK", topK, { min: 1, whole: true });
  if (topP !== undefined) checkNumber(op, "topP", topP, { above: 0, max: 1 });
  if (minP !== undefined) checkNumber(op, "minP", minP, { min: 0, max: 1 });
  if (repetitionPenalty !== undefined) checkNumber(op, "repetitionPenalty", repetitionPenalty, { above: 0 });
  checkNumber(op, "maxNewTokens", maxNewTokens, { min: 0, whole: true });
  if (temperature === 0 && (topK ?? topP ?? minP) !== undefined) throw new GraftError("argument", `${op}: topK, topP and minP choose among several tokens, but temperature is 0, which takes the best one. Set temperature too, 1 for the model's own distribution.`);
  const saved: JsonObject = { ...model.config, ...generationConfigOf(model) };
  const eos = options.eosTokenId === null ? [] : options.eosTokenId === undefined ? endTokens(model) : tokenIds(options.eosTokenId);
  const pad = options.padTokenId ?? (typeof saved.pad_token_id === "number" && saved.pad_token_id >= 0 ? saved.pad_token_id : (eos[0] ?? 0));
  return { ...options, maxNewTokens, minNewTokens, eos: new Set(eos), pad, sampled: temperature > 0 };
}

/** Prompts as lists of ids. Throws `argument` for an empty one, `dtype` for what are no ids. */
export async function promptsOf(op: string, prompts: Prompts): Promise<number[][]> {
  let lists: number[][];
  if (prompts instanceof Tensor) {
    if (isFloat(prompts.dtype) || prompts.ndim < 1 || prompts.ndim > 2) throw new GraftError("dtype", `${op}: the prompt is ${prompts.dtype} ${showShape(prompts.shape)}. Pass token ids, i32 [T] or [B, T].`);
    const values = await prompts.data();
    const T = prompts.shape[prompts.ndim - 1];
    lists = Array.from({ length: T === 0 ? 1 : values.length / T }, (_, b) => Array.from(values.subarray(b * T, (b + 1) * T)));
  } else lists = (prompts.length > 0 && typeof prompts[0] !== "number" ? (prompts as readonly (readonly number[])[]) : [prompts as readonly number[]]).map((list) => [...list]);
  for (const [i, list] of lists.entries()) {
    if (list.length === 0) throw new GraftError("argument", `${op}: prompt ${i} is empty. Start with the tokenizer's first token (bos) at least.`);
    const wrong = list.find((id) => !Number.isInteger(id) || id < 0);
    if (wrong !== undefined) throw new GraftError("argument", `${op}: prompt ${i} holds ${String(wrong)}, which is no token id.`);
  }
  return lists;
}

/** One stream of random numbers per sequence, so that what one draws does not depend on the others. */
export function streamsOf(count: number, seed: number | undefined): Random[] {
  const state = getRandomState();
  if (seed === undefined) setRandomState({ ...state, stream: state.stream + 1 });
  return Array.from({ length: count }, (_, i) => new Random(seed ?? state.seed, { epoch: i, index: seed === undefined ? state.stream % 4294967296 : 0 }));
}

/** How many tokens may follow a prompt of this length. Throws `argument` when there is room for none. */
export function roomFor(op: string, model: CausalModel, promptLength: number, maxNewTokens: number): number {
  const limit = model.maxPositions;
  if (limit !== undefined && promptLength >= limit && maxNewTokens > 0) throw new GraftError("argument", `${op}: the prompt has ${promptLength} tokens, the model has positions for ${limit}. Shorten it.`);
  return limit === undefined ? maxNewTokens : Math.min(maxNewTokens, limit - promptLength);
}
