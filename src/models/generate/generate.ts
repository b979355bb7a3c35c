import { GraftError } from "../../base/index.js";
import { rememberModes, type Module } from "../../nn/index.js";
import { isCausal, type CausalModel } from "../text/types.js";
import { argmax, candidates, largest, logSumExp, penalize, pick } from "./logits.js";
import { promptsOf, roomFor, settingsOf, streamsOf, type GenerateOptions, type Prompts, type Settings } from "./options.js";
import { Session } from "./session.js";

/** A token and its log probability. */
export interface ScoredToken {
  readonly token: number;
  readonly logprob: number;
}

/** One token of one sequence, as `stream` yields it. */
export interface StreamedToken {
  /** Which prompt it continues. */
  readonly sequence: number;
  readonly token: number;
  /** With the option `logprobs`. */
  readonly logprob?: number;
  /** With `logprobs` of 1 or more: the most likely tokens, best first. */
  readonly top?: readonly ScoredToken[];
  /** Set on the last token of a sequence: "stop" for an end of text or a stop sequence, "length" at the limit. */
  readonly finish?: FinishReason;
}

/** Why a sequence ended. */
export type FinishReason = "stop" | "length";

/** What `generate` returns, one entry per prompt. */
export interface Generation {
  /** Prompts and their continuations. */
  readonly sequences: readonly (readonly number[])[];
  /** The continuations alone; an end-of-text token is the last one of them. */
  readonly tokens: readonly (readonly number[])[];
  readonly finish: readonly FinishReason[];
  /** With the option `logprobs`: of each new token. */
  readonly logprobs?: readonly (readonly number[])[];
  /** With `logprobs` of 1 or more: the most likely tokens at each place. */
  readonly top?: readonly (readonly (readonly ScoredToken[])[])[];
}

/** Throws unless a model can continue text. */
export function requireCausal(op: string, model: Module): asserts model is CausalModel {
  if (!isCausal(model)) throw new GraftError("argument", `${op}: ${model.constructor.name} does not predict next tokens. Load a causal language model (GPT-2, Llama, Qwen, Mistral, Mixtral, Gemma 2, Phi 3).`);
}

/** Runs `body` with a model in evaluation mode and puts every module's mode back. */
export async function* evaluating<T>(model: Module, body: () => AsyncGenerator<T, void, undefined>): AsyncGenerator<T, void, undefined> {
  const restoreModes = rememberModes(model);
  model.eval();
  try {
    yield* body();
  } finally {
    restoreModes();
  }
}

/** Prompts of different lengths as rows of one: filled on the left. */
export function padLeft(prompts: readonly (readonly number[])[], pad: number): { readonly ids: number[][]; readonly real: number[][] } {
  const T = Math.max(...prompts.map(({ length }) => length));
  const fill = (list: readonly number[], value: number): number[] => new Array<number>(T - list.length).fill(value);
  return { ids: prompts.map((list) => [...fill(list, pad), ...list]), real: prompts.map((list) => [...fill(list, 0), ...list.map(() => 1)]) };
}

/** Whether new tokens end with one of the sequences. */
const endsWith = (tokens: readonly number[], sequences: readonly (readonly number[])[]): boolean =>
  sequences.some((end) => end.length > 0 && end.length <= tokens.length && end.every((token, i) => tokens[tokens.length - end.length + i] === token));

/** Whether a sequence ends with its newest token. */
export function stops(tokens: readonly number[], sequence: number, { eos, stopSequences = [], stopWhen }: Settings): boolean {
  return eos.has(tokens[tokens.length - 1]) || endsWith(tokens, stopSequences) || (stopWhen?.(tokens, sequence) ?? false);
}

function scored(logits: Float32Array, token: number, count: number): Pick<StreamedToken, "logprob" | "top"> {
  const total = logSumExp(logits);
  const logprob = logits[token] - total;
  return count === 0 ? { logprob } : { logprob, top: Array.from(largest(logits, count), (best) => ({ token: best, logprob: logits[best] - total })) };
}

/**
 * Continues prompts and yields every token as it is found; several prompts go on side by side. Leaving the loop ends the generation. Greedy unless a
 * `temperature` is given.
 *
 * Throws `argument` for a model that predicts no next token, an empty prompt, or one that is too long for the model.
 * @example
 * for await (const { token } of models.stream(model, tokenizer.encode("Once upon a time"), { temperature: 0.8, topP: 0.95 })) process.stdout.write(tokenizer.decode([token]));
 */
export async function* stream(model: Module, prompts: Prompts, options: GenerateOptions = {}): AsyncGenerator<StreamedToken, void, undefined> {
  requireCausal("stream", model);
  const settings = settingsOf("stream", model, options);
  const lists = await promptsOf("stream", prompts);
  yield* evaluating(model, () => run(model, lists, settings));
}

async function* run(model: CausalModel, prompts: readonly number[][], settings: Settings): AsyncGenerator<StreamedToken, void, undefined> {
  const { maxNewTokens, minNewTokens, eos, pad, repetitionPenalty = 1, logprobs, signal, sampled } = settings;
  const { ids, real } = padLeft(prompts, pad);
  const limit = roomFor("generate", model, ids[0].length, maxNewTokens);
  if (limit === 0) return;
  const random = streamsOf(prompts.length, settings.seed);
  const session = new Session(model, prompts.length, ids[0].length + Math.min(limit, 64));
  const fresh: number[][] = prompts.map(() => []);
  const open = prompts.map(() => true);
  let logits = await session.feed(ids, real);
  for (let count = 1; ; count++) {
    for (const [sequence, raw] of logits.entries()) {
      if (!open[sequence]) continue;
      const row = raw.slice();
      if (repetitionPenalty !== 1) penalize(row, [...prompts[sequence], ...fresh[sequence]], repetitionPenalty);
      if (count <= minNewTokens) for (const token of eos) row[token] = -Infinity;
      let token: number;
      if (sampled) {
        const choice = candidates(row, settings);
        token = pick(choice.tokens, choice.logits, random[sequence].uniform());
      } else token = argmax(row);
      fresh[sequence].push(token);
      const finish: FinishReason | undefined = stops(fresh[sequence], sequence, settings) ? "stop" : count === limit ? "length" : undefined;
      if (finish !== undefined) open[sequence] = false;
      yield { sequence, token, ...(logprobs === undefined ? {} : scored(raw, token, logprobs)), ...(finish === undefined ? {} : { finish }) };
    }
    if (!open.includes(true) || signal?.aborted) return;
    logits = await session.feed(fresh.map((tokens, i) => [open[i] ? tokens[tokens.length - 1] : pad]));
  }
}

/**
 * Continues prompts: greedily, or with a `temperature` by drawing. Prompts of different lengths are padded on the left and masked, so that each gets what it
 * would get alone.
 *
 * Throws `argument` for a model that predicts no next token, an empty prompt, or one that is too long for the model.
 * @example
 * const { tokens } = await models.generate(model, [1, 403, 407], { maxNewTokens: 32, temperature: 0.8, topK: 40, seed: 7 });
 */
export async function generate(model: Module, prompts: Prompts, options: GenerateOptions = {}): Promise<Generation> {
  requireCausal("generate", model);
  const settings = settingsOf("generate", model, options);
  const lists = await promptsOf("generate", prompts);
  const tokens: number[][] = lists.map(() => []);
  const logprobs: number[][] = lists.map(() => []);
  const top: ScoredToken[][][] = lists.map(() => []);
  const finish: FinishReason[] = lists.map(() => "length");
  for await (const step of evaluating(model, () => run(model, lists, settings))) {
    tokens[step.sequence].push(step.token);
    if (step.logprob !== undefined) logprobs[step.sequence].push(step.logprob);
    if (step.top !== undefined) top[step.sequence].push([...step.top]);
    if (step.finish !== undefined) finish[step.sequence] = step.finish;
  }
  const wanted = settings.logprobs;
  return {
    sequences: lists.map((list, i) => [...list, ...tokens[i]]),
    tokens,
    finish,
    ...(wanted === undefined ? {} : { logprobs }),
    ...(wanted === undefined || wanted === 0 ? {} : { top }),
  };
}
