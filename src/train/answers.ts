import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import type { text, tokenizers } from "../data/index.js";
import { endTokens, generate, type CausalModel } from "../models/index.js";
import type { Module } from "../nn/index.js";
import { requireDecoder } from "./likelihood.js";
import { exactMatch, tokenF1 } from "./metrics.js";

/** Options of {@link answerQuestions}. */
export interface AnswerOptions {
  /** Tokens of an answer at most. Default: 32. */
  readonly maxNewTokens?: number;
  /** Texts that end an answer and are no part of it. Default: a line break; for conversations none but the token that ends the turn. */
  readonly stop?: readonly string[];
  /** Whether case, punctuation, articles and spaces are left out of the comparison, as SQuAD does. Default: true. */
  readonly normalize?: boolean;
  /** Questions at a time. Default: 8. */
  readonly batchSize?: number;
  /** Called after each batch, with the number of questions that are done. */
  readonly onProgress?: (done: number) => void;
}

/** How many answers were right. */
export interface AnswerResult {
  /** Share of answers that equal a given one. */
  readonly exact_match: number;
  /** Mean F1 of the words in common with the best given answer. */
  readonly f1: number;
  readonly questions: number;
  /** Questions whose beginning was cut off because they are longer than the model's context. */
  readonly truncated: number;
  /** What the model wrote. */
  readonly predictions: readonly string[];
}

/**
 * Lets a model answer questions, greedily, and compares with the answers: exact match and F1 of words, as for SQuAD. Conversations go through the tokenizer's chat template.
 *
 * Throws `argument` where there is no question or for a model that predicts no next token; `config` where a chat template is needed and missing.
 * @example
 * const { exact_match, f1 } = await train.answerQuestions(model, tokenizer, [{ prompt: "2 + 2 =", answers: ["4"], place: "here" }], { maxNewTokens: 4 });
 */
export async function answerQuestions(model: Module, tokenizer: tokenizers.Tokenizer, questions: readonly text.OpenQuestion[], options: AnswerOptions = {}): Promise<AnswerResult> {
  checkOptions("train.answerQuestions", options, ["maxNewTokens", "stop", "normalize", "batchSize", "onProgress"]);
  const { maxNewTokens = 32, normalize = true, batchSize = 8, onProgress } = options;
  checkNumber("train.answerQuestions", "maxNewTokens", maxNewTokens, { min: 1, whole: true });
  checkNumber("train.answerQuestions", "batchSize", batchSize, { min: 1, whole: true });
  if (questions.length === 0) throw new GraftError("argument", "train.answerQuestions: there are no questions. Give at least one.");
  const limit = requireDecoder("train.answerQuestions", model);
  const room = limit - maxNewTokens;
  if (room < 1) throw new GraftError("argument", `train.answerQuestions: maxNewTokens is ${maxNewTokens}, the model has positions for ${limit}. Use less.`);
  let truncated = 0;
  const prompts = questions.map(({ prompt }) => {
    const ids = typeof prompt === "string" ? tokenizer.encode(prompt) : tokenizer.encode(tokenizer.applyChatTemplate(prompt, { addGenerationPrompt: true }), { addSpecialTokens: false });
    if (ids.length > room) truncated++;
    return ids.slice(-room);
  });
  const eos = tokenizer.eosId;
  const predictions: string[] = [];
  while (predictions.length < questions.length) {
    const batch = questions.slice(predictions.length, predictions.length + batchSize);
    const stops = batch.map(({ prompt }) => options.stop ?? (typeof prompt === "string" ? ["\n"] : []));
    const written = (tokens: readonly number[]): string => tokenizer.decode(tokens, { skipSpecialTokens: true });
    const { tokens } = await generate(model, prompts.slice(predictions.length, predictions.length + batch.length), {
      maxNewTokens,
      stopWhen: (found, sequence) => stops[sequence].some((stop) => written(found).trimStart().includes(stop)),
      ...(eos === undefined || endTokens(model as CausalModel).length > 0 ? {} : { eosTokenId: eos }),
    });
    tokens.forEach((found, i) => predictions.push(before(written(found).trimStart(), stops[i])));
    onProgress?.(predictions.length);
  }
  const mean = (score: (prediction: string, answers: readonly string[]) => number): number => questions.reduce((sum, { answers }, i) => sum + score(predictions[i], answers), 0) / questions.length;
  return { exact_match: mean((prediction, answers) => exactMatch(prediction, answers, { normalize })), f1: mean(tokenF1), questions: questions.length, truncated, predictions };
}

/** A text up to the first of the stops. */
function before(text: string, stops: readonly string[]): string {
  const ends = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return (ends.length === 0 ? text : text.slice(0, Math.min(...ends))).trim();
}
