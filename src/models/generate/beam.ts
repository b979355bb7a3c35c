import { checkNumber, GraftError } from "../../base/index.js";
import type { Module } from "../../nn/index.js";
import type { CausalModel } from "../text/types.js";
import { evaluating, requireCausal, stops } from "./generate.js";
import { largest, logSumExp, penalize } from "./logits.js";
import { promptsOf, roomFor, settingsOf, type GenerateOptions, type Prompts, type Settings } from "./options.js";
import { Session } from "./session.js";

/** Options of {@link beamSearch}. */
export interface BeamOptions extends Omit<GenerateOptions, "temperature" | "topK" | "topP" | "minP" | "seed" | "logprobs"> {
  /** Sequences that are followed side by side. Default: 4. */
  readonly numBeams?: number;
  /** A finished sequence of n new tokens scores (sum of log probabilities) / n^lengthPenalty: above 0 favours long ones. Default: 1. */
  readonly lengthPenalty?: number;
  /** true: stop as soon as there are `numBeams` finished ones; false (the default): when no open one is likely to do better; "never": when none can. */
  readonly earlyStopping?: boolean | "never";
  /** How many of the best are returned. Default: 1. */
  readonly numReturnSequences?: number;
}

/** A sequence that beam search found. */
export interface BeamResult {
  /** The new tokens. */
  readonly tokens: readonly number[];
  /** Sum of the log probabilities over n^lengthPenalty. */
  readonly score: number;
}

interface Beam {
  readonly tokens: readonly number[];
  readonly score: number;
  /** The row of the batch that holds its cache. */
  readonly row: number;
}

/**
 * Looks for likely continuations as wholes instead of token by token: the `numBeams` best beginnings are extended at each step. For each prompt the best
 * sequences, best first; the search is that of Transformers.
 *
 * Throws `argument` for a model that predicts no next token, an empty prompt, or one that is too long for the model.
 * @example
 * const [[best]] = await models.beamSearch(model, [1, 403, 407], { numBeams: 4, maxNewTokens: 32 });
 */
export async function beamSearch(model: Module, prompts: Prompts, options: BeamOptions = {}): Promise<BeamResult[][]> {
  requireCausal("beamSearch", model);
  const { numBeams = 4, lengthPenalty = 1, earlyStopping = false, numReturnSequences = 1, ...rest } = options;
  checkNumber("beamSearch", "numBeams", numBeams, { min: 1, whole: true });
  checkNumber("beamSearch", "lengthPenalty", lengthPenalty);
  if (checkNumber("beamSearch", "numReturnSequences", numReturnSequences, { min: 1, whole: true }) > numBeams) throw new GraftError("argument", `beamSearch: numReturnSequences ${numReturnSequences} is more than numBeams ${numBeams}. Follow more beams.`);
  const settings = settingsOf("beamSearch", model, rest);
  const lists = await promptsOf("beamSearch", prompts);
  const results: BeamResult[][] = [];
  const search = async function* (): AsyncGenerator<BeamResult[], void, undefined> {
    for (const prompt of lists) yield await searchOne(model, prompt, settings, { numBeams, lengthPenalty, earlyStopping });
  };
  for await (const found of evaluating(model, search)) results.push(found.slice(0, numReturnSequences));
  return results;
}

async function searchOne(
  model: CausalModel,
  prompt: readonly number[],
  settings: Settings,
  { numBeams, lengthPenalty, earlyStopping }: Required<Pick<BeamOptions, "numBeams" | "lengthPenalty" | "earlyStopping">>,
): Promise<BeamResult[]> {
  const limit = roomFor("beamSearch", model, prompt.length, settings.maxNewTokens);
  if (limit === 0) return [{ tokens: [], score: 0 }];
  const session = new Session(model, numBeams, prompt.length + Math.min(limit, 64));
  let open: Beam[] = [{ tokens: [], score: 0, row: 0 }];
  let finished: BeamResult[] = [];
  let logits = await session.feed(Array.from({ length: numBeams }, () => prompt));
  for (let count = 1; ; count++) {
    const found = extend(open, logits, prompt, settings, count, Math.max(2, 1 + settings.eos.size) * numBeams);
    const ends = found.map(({ tokens }) => count === limit || stops(tokens, 0, settings));
    const ended = found.filter((_, rank) => ends[rank] && rank < numBeams).map(({ tokens, score }) => ({ tokens, score: score / count ** lengthPenalty }));
    finished = [...finished, ...ended].sort((a, b) => b.score - a.score).slice(0, numBeams);
    open = found.filter((_, rank) => !ends[rank]).slice(0, numBeams);
    if (open.length === 0 || settings.signal?.aborted) break;
    if (finished.length === numBeams) {
      if (earlyStopping === true) break;
      const length = earlyStopping === "never" && lengthPenalty > 0 ? limit : count;
      if (open[0].score / length ** lengthPenalty <= finished[numBeams - 1].score) break; // no open beam is likely to do better
    }
    // Rows without a beam repeat the best one; they are never looked at.
    const rows = Array.from({ length: numBeams }, (_, b) => open[b] ?? open[0]);
    logits = await session.feed(rows.map(({ tokens }) => [tokens[tokens.length - 1]]), undefined, Int32Array.from(rows, ({ row }) => row));
    open = open.map((beam, row) => ({ ...beam, row }));
  }
  return finished.length > 0 ? finished : open.map(({ tokens, score }) => ({ tokens, score: score / Math.max(1, tokens.length) ** lengthPenalty }));
}

/** The best `count` extensions of the open beams by one token, best first. */
function extend(open: readonly Beam[], logits: readonly Float32Array[], prompt: readonly number[], { eos, minNewTokens, repetitionPenalty = 1 }: Settings, step: number, count: number): Beam[] {
  const all: Beam[] = [];
  for (const beam of open) {
    const row = logits[beam.row];
    const total = logSumExp(row);
    const scores = row.map((value) => value - total);
    if (repetitionPenalty !== 1) penalize(scores, [...prompt, ...beam.tokens], repetitionPenalty);
    if (step <= minNewTokens) for (const token of eos) scores[token] = -Infinity;
    for (const token of largest(scores, Math.min(count, scores.length))) all.push({ tokens: [...beam.tokens, token], score: Math.fround(beam.score + scores[token]), row: beam.row });
  }
  return all.sort((a, b) => b.score - a.score).slice(0, count); // stable: equal scores by beam, then token
}
