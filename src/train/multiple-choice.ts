import { checkOptions, GraftError } from "../base/index.js";
import type { text, tokenizers } from "../data/index.js";
import type { Module } from "../nn/index.js";
import { likelihoods, requireDecoder, type LikelihoodOptions } from "./likelihood.js";

/** A context and what may follow it, as token ids. */
export interface TokenPair {
  readonly context: readonly number[];
  readonly continuation: readonly number[];
}

/**
 * Splits the tokens of context + continuation into those of the two, as lm-eval does: white space at the end of the context goes to the continuation, both are encoded together, and the
 * continuation is what lies behind as many tokens as the context has alone. An empty context becomes the token that begins (or ends) texts.
 *
 * Throws `argument` for an empty context where the tokenizer has no such token.
 * @example
 * train.encodePair(tokenizer, "The sky is ", "blue"); // context "The sky is", continuation " blue"
 */
export function encodePair(tokenizer: tokenizers.Tokenizer, context: string, continuation: string): TokenPair {
  const kept = context.trimEnd();
  const rest = context.slice(kept.length) + continuation;
  if (kept !== "") {
    const before = tokenizer.encode(kept);
    return { context: before, continuation: tokenizer.encode(kept + rest).slice(before.length) };
  }
  const ids = tokenizer.encode(rest, { addSpecialTokens: false });
  const prefix = tokenizer.bosId ?? tokenizer.eosId;
  if (prefix === undefined) throw new GraftError("argument", `encodePair: the context is empty, and ${tokenizer.name} has no token that begins or ends texts. Give a context.`);
  return ids[0] === prefix ? { context: ids.slice(0, 1), continuation: ids.slice(1) } : { context: [prefix], continuation: ids };
}

/** Options of {@link multipleChoice}. */
export interface MultipleChoiceOptions extends LikelihoodOptions {
  /** Stands between question and choice. Default: one space. */
  readonly delimiter?: string;
}

/** What a model chose. */
export interface Choice {
  /** Sum of ln p of each choice. */
  readonly logprobs: readonly number[];
  /** The most probable choice, the most probable one per character, and per byte. */
  readonly best: number;
  readonly bestNorm: number;
  readonly bestBytes: number;
  readonly answer: number;
}

/** Accuracies over questions, with the standard errors of their means. */
export interface MultipleChoiceResult {
  /** By the sum of ln p over the choice's tokens. */
  readonly acc: number;
  readonly acc_stderr: number;
  /** By that sum per character of the choice, which long choices do not suffer from. */
  readonly acc_norm: number;
  readonly acc_norm_stderr: number;
  /** By that sum per UTF-8 byte of the choice; the same as `acc_norm` for ASCII. */
  readonly acc_bytes: number;
  readonly acc_bytes_stderr: number;
  readonly questions: number;
  /** Questions whose beginning was cut off because they are longer than the model's context. */
  readonly truncated: number;
  readonly choices: readonly Choice[];
}

/** The first largest value. */
const argmax = (values: readonly number[]): number => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

/**
 * Answers multiple-choice questions by likelihood, as lm-eval does: for each choice the sum of ln p(token | question, choice so far) over the choice's tokens; `acc` takes the largest sum,
 * `acc_norm` the largest one per character, `acc_bytes` per byte. Of questions that are too long for the model the beginning is left out.
 *
 * Throws `argument` where there is no question, or for a model that predicts no next token; `format` for a choice that alone is too long.
 * @example
 * const { acc, acc_norm } = await train.multipleChoice(model, tokenizer, [{ prompt: "The sky is", choices: ["blue", "loud"], answer: 0, place: "here" }]);
 */
export async function multipleChoice(model: Module, tokenizer: tokenizers.Tokenizer, questions: readonly text.ChoiceQuestion[], options: MultipleChoiceOptions = {}): Promise<MultipleChoiceResult> {
  checkOptions("train.multipleChoice", options, ["batchSize", "onProgress", "delimiter"]);
  const { delimiter = " ", ...rest } = options;
  if (questions.length === 0) throw new GraftError("argument", "train.multipleChoice: there are no questions. Give at least one.");
  const limit = requireDecoder("train.multipleChoice", model);
  let truncated = 0;
  const samples = questions.flatMap(({ prompt, choices, place }) => {
    const pairs = choices.map((choice) => encodePair(tokenizer, prompt, delimiter + choice));
    if (pairs.some(({ context, continuation }) => context.length + continuation.length > limit + 1)) truncated++;
    return pairs.map((pair, i) => sampleOf(pair, limit, `${place}: choice ${i}`));
  });
  const found = await likelihoods(model, samples, rest);
  let at = 0;
  const choices = questions.map(({ choices: list, answer }): Choice => {
    const logprobs = list.map(() => found[at++].logprob);
    const per = (length: (choice: string) => number): number => argmax(logprobs.map((logprob, i) => logprob / length(list[i])));
    return { logprobs, answer, best: argmax(logprobs), bestNorm: per((choice) => [...choice].length), bestBytes: per((choice) => Buffer.byteLength(choice)) };
  });
  const share = (chosen: (choice: Choice) => number): readonly [number, number] => {
    const p = choices.filter((choice) => chosen(choice) === choice.answer).length / choices.length;
    return [p, Math.sqrt((p * (1 - p)) / Math.max(1, choices.length - 1))]; // the standard deviation of a sample of 0 and 1, over sqrt(n)
  };
  const [[acc, acc_stderr], [acc_norm, acc_norm_stderr], [acc_bytes, acc_bytes_stderr]] = [share(({ best }) => best), share(({ bestNorm }) => bestNorm), share(({ bestBytes }) => bestBytes)];
  return { acc, acc_stderr, acc_norm, acc_norm_stderr, acc_bytes, acc_bytes_stderr, questions: questions.length, truncated, choices };
}

/** The pair as a sample whose continuation counts; a context that is too long loses its beginning. */
function sampleOf({ context, continuation }: TokenPair, limit: number, place: string): text.TokenSample {
  if (continuation.length > limit) throw new GraftError("format", `${place} has ${continuation.length} tokens, the model has positions for ${limit}. Shorten it.`);
  const inputIds = Int32Array.from([...context, ...continuation].slice(-(limit + 1))); // slice(-Infinity) is all
  return { inputIds, labels: inputIds.slice().fill(-100, 0, inputIds.length - continuation.length) };
}
