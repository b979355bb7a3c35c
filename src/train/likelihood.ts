import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import type { text } from "../data/index.js";
import { fromData, noGrad, type Tensor } from "../graph/index.js";
import { contextLength, isCausal, type CausalModel } from "../models/index.js";
import { rememberModes, type Module } from "../nn/index.js";
import { F } from "../ops/index.js";
import { realize } from "../runtime/index.js";
import { outputOf } from "./text-output.js";

/** How likely a model finds a sample. */
export interface Likelihood {
  /** Sum of ln p over the tokens that have a label. */
  readonly logprob: number;
  /** How many these are. */
  readonly tokens: number;
  /** Whether each of them is the model's first choice, so that greedy generation would write them. */
  readonly greedy: boolean;
}

/** Options of {@link likelihoods}. */
export interface LikelihoodOptions {
  /** Samples at a time at most; fewer where their logits would take more than 256 MiB. Default: 8. */
  readonly batchSize?: number;
  /** Called after each batch, with the number of samples that are done. */
  readonly onProgress?: (done: number) => void;
}

const ignored = -100;
/** Lengths are rounded up to a multiple of this, so that batches share plans. */
const step = 16;
const maxLogits = 1 << 26;

/**
 * ln p of the tokens of each sample that have a label (are not -100), given all tokens before them. The first token of a sample is predicted by nothing and does not count. A sample may be one
 * token longer than the model's context: its last token is not fed. Samples of similar length share a batch; the model is in evaluation mode meanwhile.
 *
 * Throws `argument` for a model that does not predict next tokens, `shape` for a sample that is too long.
 * @example
 * const [{ logprob }] = await train.likelihoods(model, [{ inputIds: Int32Array.of(1, 5, 9), labels: Int32Array.of(-100, -100, 9) }]); // ln p(9 | 1, 5)
 */
export async function likelihoods(model: Module, samples: readonly text.TokenSample[], options: LikelihoodOptions = {}): Promise<Likelihood[]> {
  checkOptions("train.likelihoods", options, ["batchSize", "onProgress"]);
  const { batchSize = 8, onProgress } = options;
  checkNumber("train.likelihoods", "batchSize", batchSize, { min: 1, whole: true });
  const limit = requireDecoder("train.likelihoods", model);
  const long = samples.findIndex(({ inputIds }) => inputIds.length - 1 > limit);
  if (long >= 0) throw new GraftError("shape", `train.likelihoods: sample ${long} has ${samples[long].inputIds.length} tokens, the model has positions for ${limit}. Cut its beginning off, or use windows (train.evaluateText).`);
  const found = new Array<Likelihood>(samples.length);
  const order = samples.map((_, i) => i).sort((a, b) => samples[b].inputIds.length - samples[a].inputIds.length); // long ones first: what does not fit into memory shows at once
  const restoreModes = rememberModes(model);
  model.eval();
  try {
    let done = 0;
    const vocabulary = Number((model as CausalModel).config.vocab_size);
    while (done < order.length) {
      const length = Math.max(1, samples[order[done]].inputIds.length - 1);
      const rows = Math.max(1, Math.min(batchSize, Math.floor(maxLogits / (vocabulary * length))));
      const batch = order.slice(done, done + rows);
      (await scored(model, batch.map((i) => samples[i]), limit)).forEach((likelihood, row) => (found[batch[row]] = likelihood));
      done += batch.length;
      onProgress?.(done);
    }
  } finally {
    restoreModes();
  }
  return found;
}

/** The longest input of a model that predicts next tokens. Throws `argument` for another model. */
export function requireDecoder(op: string, model: Module): number {
  if (!isCausal(model)) throw new GraftError("argument", `${op}: ${model.constructor.name} does not predict next tokens. Pass a causal language model (GPT-2, Llama, Qwen, ...).`);
  return contextLength(model) ?? Infinity;
}

async function scored(model: Module, samples: readonly text.TokenSample[], limit: number): Promise<Likelihood[]> {
  const B = samples.length;
  const longest = Math.max(1, samples[0].inputIds.length - 1);
  const T = Math.max(longest, Math.min(limit, step * Math.ceil(longest / step)));
  const firsts = samples.map(({ labels }) => labels.findIndex((label, i) => i > 0 && label !== ignored));
  const first = Math.min(...firsts.map((i) => (i < 0 ? T : i - 1))); // no logits are needed before
  const from = step * Math.floor(Math.min(first, T - 1) / step);
  const n = T - from;
  const ids = new Int32Array(B * T);
  const next = new Int32Array(B * n).fill(ignored);
  samples.forEach(({ inputIds, labels }, row) => {
    ids.set(inputIds.subarray(0, Math.max(1, inputIds.length - 1)), row * T); // filled up at the end, which no token before looks at
    for (let i = from; i + 1 < labels.length; i++) next[row * n + i - from] = labels[i + 1];
  });
  const [losses, best] = noGrad(() => {
    const kept = from === 0 ? {} : { logitsToKeep: i32(Int32Array.from({ length: n }, (_, i) => from + i), [n]) };
    const { logits } = outputOf(model, i32(ids, [B, T]), kept);
    const rows = F.reshape(logits, [B * n, logits.shape[2]]);
    return [F.crossEntropy(rows, i32(next, [B * n]), { reduction: "none", ignoreIndex: ignored }), F.argmax(rows, { dim: 1 })] as const;
  });
  await realize(losses, best);
  const [costs, choices] = [await losses.data(), await best.data()];
  return samples.map((_, row) => {
    let [logprob, tokens, greedy] = [0, 0, true];
    for (let at = row * n; at < (row + 1) * n; at++) {
      if (next[at] === ignored) continue;
      tokens++;
      logprob -= costs[at];
      if (choices[at] !== next[at]) greedy = false;
    }
    return { logprob, tokens, greedy };
  });
}

const i32 = (values: Int32Array, shape: readonly number[]): Tensor => fromData(values, shape, "i32");
