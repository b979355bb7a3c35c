import { text, type Dataset, type tokenizers } from "../data/index.js";
import { create, generate, type CausalModel, type TextModel } from "../models/index.js";
import type { Profile, ProfileSteps } from "../runtime/index.js";
import { findLearningRate, mlm, pretrain, profile, type Callbacks, type FitResult, type LearningRateCurve, type PretrainOptions } from "../train/index.js";
import { print } from "./output.js";
import type { PretrainData } from "./pretrain-data.js";
import type { PretrainRecipe } from "./pretrain-recipe.js";

/** What `graft pretrain` trains, and how: one object per objective. */
export interface PretrainTask {
  readonly name: string;
  readonly model: TextModel;
  /** What is shown at each evaluation. */
  readonly callbacks: Callbacks | readonly Callbacks[];
  /** What to try with the saved model. */
  hint(out: string): string;
  train(options: PretrainOptions): Promise<FitResult>;
  findLearningRate(options: PretrainOptions): Promise<LearningRateCurve>;
  profile(options: PretrainOptions & ProfileSteps): Promise<Profile>;
}

/** The options of a recipe that make a step what it is. */
export function stepOptions({ batchSize, accumulate, lr, beta2, weightDecay, schedule, warmupSteps, seed, ema, watchdog }: PretrainRecipe["training"]): PretrainOptions {
  return { batchSize, accumulate, lr, betas: [0.9, beta2], weightDecay, schedule, warmupSteps, seed, ema, watchdog };
}

/** The task of a recipe, with a fresh model. */
export const pretrainTask = (recipe: PretrainRecipe, data: PretrainData): Promise<PretrainTask> => (recipe.objective === "mlm" ? hiddenWords(recipe, data) : nextTokens(recipe, data));

const evaluated = ({ training: { evalBlocks } }: PretrainRecipe, { valid }: PretrainData, blockSize: number): number => Math.min(evalBlocks, Math.floor((valid.length - 1) / blockSize));

async function nextTokens(recipe: PretrainRecipe, data: PretrainData): Promise<PretrainTask> {
  const { model: { layers, heads, size, block, dropout }, sample } = recipe;
  const { tokenizer, train, valid } = data;
  const eos = tokenizer.eosId ?? null;
  const model = await create<CausalModel>({
    model_type: "gpt2", vocab_size: tokenizer.vocabSize, n_positions: block, n_embd: size, n_layer: layers, n_head: heads,
    resid_pdrop: dropout, embd_pdrop: dropout, attn_pdrop: dropout, bos_token_id: eos, eos_token_id: eos,
  });
  const blocks = new text.TokenDataset(train, { blockSize: block });
  const measured = { valid: new text.TokenDataset(valid, { blockSize: block, order: "sequential", samples: evaluated(recipe, data, block) }), bytesPerToken: valid.header.bytes / valid.header.tokens };
  return {
    name: "GPT-2",
    model,
    callbacks: writing(model, tokenizer, sample),
    hint: (out) => `graft generate ${out} ${JSON.stringify(sample.prompt.trim() || "The")} --temperature ${sample.temperature}`,
    train: (options) => pretrain(model, blocks, { ...options, ...measured }),
    findLearningRate: (options) => findLearningRate(model, blocks, { task: "pretrain", ...options, ...measured }),
    profile: (options) => profile(model, blocks, { task: "pretrain", ...options }),
  };
}

/** Shows what the model writes. */
function writing(model: CausalModel, tokenizer: tokenizers.Tokenizer, { prompt, tokens, temperature }: PretrainRecipe["sample"]): Callbacks {
  return {
    onEvaluate: async ({ step }) => {
      const { sequences } = await generate(model, tokenizer.encode(prompt), { maxNewTokens: tokens, temperature, seed: step, eosTokenId: null });
      print(`  | ${tokenizer.decode(sequences[0], { skipSpecialTokens: true }).trim().replaceAll("\n", "\n  | ")}`);
    },
  };
}

async function hiddenWords(recipe: PretrainRecipe, data: PretrainData): Promise<PretrainTask> {
  const { model: { layers, heads, size, block, dropout } } = recipe;
  const { tokenizer } = data;
  const model = await create({
    model_type: "bert", vocab_size: tokenizer.vocabSize, hidden_size: size, num_hidden_layers: layers, num_attention_heads: heads, intermediate_size: 4 * size, max_position_embeddings: block,
    hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout, pad_token_id: tokenizer.specialId("pad") ?? null,
  }, { task: "masked-lm" });
  const [first, last] = [tokenizer.specialId("cls"), tokenizer.specialId("sep")].map((id) => (id === undefined ? [] : [id]));
  const inner = block - first.length - last.length;
  const framed = (blocks: text.TokenDataset): Dataset<Int32Array> => ({ length: blocks.length, get: (i, random) => Int32Array.from([...first, ...blocks.get(i, random)[0], ...last]) });
  const rows = framed(new text.TokenDataset(data.train, { blockSize: inner }));
  const valid = framed(new text.TokenDataset(data.valid, { blockSize: inner, order: "sequential", samples: evaluated(recipe, data, inner) }));
  const own = ({ valid: _valid, bytesPerToken: _bytes, ...options }: PretrainOptions) => ({ ...options, tokenizer, valid });
  return {
    name: "BERT",
    model,
    callbacks: [],
    hint: (out) => `graft finetune --model ${out} --data reviews.csv --task classification --method full`,
    train: (options) => mlm(model, rows, own(options)),
    findLearningRate: (options) => findLearningRate(model, rows, { task: "mlm", ...own(options) }),
    profile: (options) => profile(model, rows, { task: "mlm", ...own(options) }),
  };
}
