import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import type { text, tokenizers } from "../data/index.js";
import type { Module } from "../nn/index.js";
import { likelihoods, requireDecoder, type LikelihoodOptions } from "./likelihood.js";
import { bitsPerByte, perplexity } from "./metrics.js";

/** What a language model makes of a text. */
export interface TextEvaluation {
  /** Mean cross entropy of a token, in nats. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** Bits per UTF-8 byte of the text; it compares models with different tokenizers. */
  readonly bits_per_byte: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
  /** Bytes of the text that these are. */
  readonly bytes: number;
  /** Texts, or examples. */
  readonly documents: number;
  /** Of these, how many were longer than the context and read in several windows. */
  readonly windowed: number;
}

/** Options of {@link evaluateText}. */
export interface EvaluateTextOptions extends LikelihoodOptions {
  /** Tokens that the model sees at once. Default: as many as it was made for, at most 1024. */
  readonly maxLength?: number;
  /** Tokens of a long text that are new in each window; the rest of the window is what comes before them. Default: `maxLength`, windows that do not overlap. */
  readonly stride?: number;
}

/** A text, or a piece of one: `last` is false where more of it comes. */
export type TextPiece = string | Pick<text.DocumentPiece, "text" | "last">;

/** Windows that are measured together. */
const groupSize = 256;

/**
 * Loss, perplexity and bits per byte of a language model on texts. A text begins behind the token that begins (or ends) texts, if there is one; otherwise its first token does not count. A
 * text that is longer than `maxLength` is read in windows, each token predicted once.
 *
 * Throws `argument` where there is no text, `state` for a tokenizer that does not fit.
 * @example
 * const { perplexity, bits_per_byte } = await train.evaluateText(model, tokenizer, data.text.documents("valid.txt"), { stride: 256 });
 */
export async function evaluateText(model: Module, tokenizer: tokenizers.Tokenizer, texts: Iterable<TextPiece> | AsyncIterable<TextPiece>, options: EvaluateTextOptions = {}): Promise<TextEvaluation> {
  checkOptions("train.evaluateText", options, ["maxLength", "stride", "batchSize", "onProgress"]);
  const limit = requireDecoder("train.evaluateText", model);
  const { maxLength = Math.min(limit, 1024), batchSize, onProgress } = options;
  const { stride = maxLength } = options;
  checkNumber("train.evaluateText", "maxLength", maxLength, { min: 1, max: limit, whole: true });
  checkNumber("train.evaluateText", "stride", stride, { min: 1, max: maxLength, whole: true });
  const total = new Sums();
  let [waiting, done]: [text.TokenSample[], number] = [[], 0];
  const measure = async (): Promise<void> => {
    for (const { logprob, tokens } of await likelihoods(model, waiting, { batchSize })) total.add(logprob, tokens);
    done += waiting.length;
    waiting = [];
    onProgress?.(done);
  };
  let windows = new Windows(tokenizer, maxLength, stride);
  for await (const piece of texts) {
    const { text, last } = typeof piece === "string" ? { text: piece, last: true } : piece;
    waiting.push(...windows.add(text, last));
    if (last) {
      total.close(windows.bytes, windows.count > 1);
      windows = new Windows(tokenizer, maxLength, stride);
    }
    while (waiting.length >= groupSize) await measure();
  }
  if (waiting.length > 0) await measure();
  return total.result("train.evaluateText");
}

/** Options of {@link evaluateSamples}. */
export interface EvaluateSamplesOptions extends LikelihoodOptions {
  /** Gives the bytes of what is learnt, for bits per byte. */
  readonly tokenizer: tokenizers.Tokenizer;
}

/**
 * Loss, perplexity and bits per byte of the answers in samples of `data.text.encodeExample`: of the tokens that fine-tuning learns. Throws `argument` where there are none.
 * @example
 * const { loss } = await train.evaluateSamples(model, samples, { tokenizer });
 */
export async function evaluateSamples(model: Module, samples: readonly text.TokenSample[], { tokenizer, ...options }: EvaluateSamplesOptions): Promise<TextEvaluation> {
  checkOptions("train.evaluateSamples", options, ["batchSize", "onProgress"]);
  const total = new Sums();
  (await likelihoods(model, samples, options)).forEach(({ logprob, tokens }, i) => {
    const { inputIds, labels } = samples[i];
    const learnt = inputIds.filter((_, at) => at > 0 && labels[at] >= 0);
    total.add(logprob, tokens);
    total.close(Buffer.byteLength(tokenizer.decode(learnt, { skipSpecialTokens: true })), false);
  });
  return total.result("train.evaluateSamples");
}

class Sums {
  private nats = 0;
  private tokens = 0;
  private bytes = 0;
  private documents = 0;
  private windowed = 0;

  add(logprob: number, tokens: number): void {
    this.nats -= logprob;
    this.tokens += tokens;
  }
  close(bytes: number, windowed: boolean): void {
    this.documents++;
    this.bytes += bytes;
    if (windowed) this.windowed++;
  }
  result(op: string): TextEvaluation {
    const { nats, tokens, bytes, documents, windowed } = this;
    if (tokens === 0) throw new GraftError("argument", `${op}: there is no token to predict in ${documents} text(s). Give some text.`);
    const loss = nats / tokens;
    return { loss, perplexity: perplexity(loss), bits_per_byte: bitsPerByte(nats, bytes), tokens, bytes, documents, windowed };
  }
}

/** Cuts one text, which may come in pieces, into windows of token ids. */
class Windows {
  /** Windows so far. */
  count = 0;
  /** Bytes of the tokens that are predicted. */
  bytes = 0;
  private ids: number[] = [];
  /** Ids before this one have been predicted, or nothing predicts them. */
  private open = 0;

  constructor(
    private readonly tokenizer: tokenizers.Tokenizer,
    private readonly maxLength: number,
    private readonly stride: number,
  ) {}

  /** The windows that are complete with this piece of the text, all with its last one. */
  add(piece: string, last: boolean): text.TokenSample[] {
    this.bytes += Buffer.byteLength(piece);
    const begins = this.ids.length === 0;
    const ids = this.tokenizer.encode(piece, { addSpecialTokens: begins });
    if (begins && ids.length > 0) this.begin(ids);
    else for (const id of ids) this.ids.push(id);
    const made: text.TokenSample[] = [];
    for (;;) {
      const left = this.ids.length - this.open;
      const room = this.count === 0 ? this.maxLength : this.stride;
      if (left < room && !(last && left > 0)) break;
      made.push(this.window(Math.min(left, room)));
    }
    const gone = Math.max(0, this.open - this.maxLength); // what later windows cannot see
    this.ids = this.ids.slice(gone);
    this.open -= gone;
    return made;
  }

  /** The first ids of a text: behind the token that begins texts, or else the one that ends them; where there is neither the first id is not predicted. */
  private begin(ids: readonly number[]): void {
    const prefix = this.tokenizer.bosId ?? this.tokenizer.eosId;
    if (prefix === undefined) this.bytes -= Buffer.byteLength(this.tokenizer.decode([ids[0]]));
    this.ids = prefix === undefined || ids[0] === prefix ? [...ids] : [prefix, ...ids];
    this.open = 1;
  }

  private window(predicted: number): text.TokenSample {
    const end = this.open + predicted;
    const begin = Math.max(0, end - this.maxLength - 1); // maxLength ids go in, the one behind the last is only predicted
    const inputIds = Int32Array.from(this.ids.slice(begin, end));
    const labels = inputIds.slice().fill(-100, 0, this.open - begin);
    this.open = end;
    this.count++;
    return { inputIds, labels };
  }
}
