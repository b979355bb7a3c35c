// GRAFT_DATA=PATH/TO/data npx tsx examples/lm/sentiment.ts
//
// Is a sentence of a film review kind or not? A small BERT learns words from sentences without labels, by finding hidden words (masked language modelling), gets a
// head for two classes and is tuned with a few labels; the same network starts from scratch on the same labels. Both accuracies are printed, whichever way it comes out.
// The sentences (Pang and Lee 2005) are looked for in $GRAFT_DATA/rotten-tomatoes-mr/rt-polarity.all: a line is 0 or 1, a space, a sentence.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { data, manualSeed, models, train } from "graftml";

/** How the study runs. */
export const usual = {
  test: 1500, // sentences that nothing is learnt from
  labels: 500,
  seeds: 5,
  vocabSize: 6000,
  size: 64,
  layers: 1,
  heads: 4,
  inner: 64,
  maxLength: 64,
  pretrain: { epochs: 50, batchSize: 64, lr: 0.003, warmupSteps: 100, probability: 0.5, frequent: 1e-4 },
  dropout: 0.2,
  tune: { epochs: 10, batchSize: 32, lr: 0.003 },
  file: join(process.env.GRAFT_DATA || join(homedir(), ".cache", "graft"), "rotten-tomatoes-mr", "rt-polarity.all"),
  print: (text: string): void => console.log(text),
};
export type Study = typeof usual;

const classes = ["negative", "positive"];

/** The sentences with their labels, in an order of our own. */
function sentences(file: string): data.text.LabelledText[] {
  let lines: string[];
  try {
    lines = readFileSync(file, "latin1").split("\n");
  } catch {
    throw new Error(`${file} is not there. Put the sentence polarity data (rt-polarity.all, one sentence per line behind 0 or 1) into it, or say with GRAFT_DATA which folder holds rotten-tomatoes-mr.`);
  }
  const all = lines.flatMap((line, i) => (/^[01] ./.test(line) ? [{ text: line.slice(2), label: line[0], place: `${file}, line ${i + 1}` }] : []));
  return Array.from(new data.Random(0, { purpose: "split" }).permutation(all.length), (i) => all[i]);
}

/** Frequent words say little about a sentence: sqrt(share / frequency) of them are hidden, as word2vec leaves them out (Mikolov et al. 2013). */
function rarely(samples: readonly data.text.ClassSample[], share: number): (id: number) => number {
  const counts = new Map<number, number>();
  let total = 0;
  for (const { inputIds } of samples) for (const id of inputIds) {
    counts.set(id, (counts.get(id) ?? 0) + 1);
    total++;
  }
  return (id) => Math.min(1, Math.sqrt((share * total) / (counts.get(id) ?? 1)));
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
/** The standard deviation over seeds, with n - 1. */
const spread = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1));
const points = (values: readonly number[]): string => `${(100 * mean(values)).toFixed(2)} +- ${(100 * spread(values)).toFixed(2)}`;

/** Test accuracies by seed. */
export interface Outcome {
  readonly pretrained: readonly number[];
  readonly scratch: readonly number[];
}

/** Runs the study and prints what came out. */
export async function sentiment(study: Study): Promise<Outcome> {
  const { vocabSize, size, layers, heads, inner, maxLength, labels, seeds, print } = study;
  const all = sentences(study.file);
  const [test, rest] = [all.slice(0, study.test), all.slice(study.test)];
  const tokenizer = await data.tokenizers.trainWordPiece(rest.map(({ text }) => text), { vocabSize });
  const encode = (part: readonly data.text.LabelledText[]) => data.text.encodeLabelled(part, tokenizer, { classes, maxLength }).samples;
  const [tested, samples] = [encode(test), encode(rest)];
  const config = {
    model_type: "bert", vocab_size: tokenizer.vocabSize, hidden_size: size, num_hidden_layers: layers, num_attention_heads: heads, intermediate_size: inner,
    max_position_embeddings: maxLength, hidden_dropout_prob: study.dropout, attention_probs_dropout_prob: study.dropout,
  };

  const begun = performance.now();
  manualSeed(0);
  const encoder = await models.create(config, { task: "masked-lm" });
  const { probability, frequent, ...pretrain } = study.pretrain;
  print(`${samples.length} sentences without labels, ${tested.length} to test with; ${tokenizer.vocabSize} word pieces, ${encoder.parameters().reduce((sum, p) => sum + p.size, 0)} parameters`);
  const { history } = await train.mlm(encoder, samples.map(({ inputIds }) => inputIds), { ...pretrain, tokenizer, mask: { probability, weight: rarely(samples, frequent), fromFirst: true }, schedule: "linear", seed: 0, progress: false });
  const folder = mkdtempSync(join(tmpdir(), "sentiment-"));
  await models.save(folder, encoder);
  print(`pretrained for ${pretrain.epochs} epochs in ${((performance.now() - begun) / 1000).toFixed(0)} s, perplexity of hidden words ${history.at(-1)!.perplexity.toFixed(0)}`);

  const tuned = async (seed: number, pretrained: boolean): Promise<number> => {
    const order = new data.Random(seed, { purpose: "split" }).permutation(samples.length);
    const few = Array.from(order.subarray(0, labels), (i) => samples[i]);
    manualSeed(1 + seed);
    const head = { task: "sequence-classification", classes } as const;
    const model = pretrained ? await models.load<models.TextModel>(folder, head) : await models.create(config, head);
    await train.classify(model, few, { ...study.tune, seed, warmupSteps: 10, padId: tokenizer.padId, progress: false });
    return (await train.evaluateClassifier(model, tested, { padId: tokenizer.padId, batchSize: 64 })).accuracy!;
  };
  const outcome = { pretrained: [] as number[], scratch: [] as number[] };
  for (let seed = 0; seed < seeds; seed++) {
    outcome.pretrained.push(await tuned(seed, true));
    outcome.scratch.push(await tuned(seed, false));
  }
  rmSync(folder, { recursive: true });
  print(`\ntest accuracy in % with ${labels} labels, mean +- standard deviation over ${seeds} seeds (labels, head, order); ${((performance.now() - begun) / 1000).toFixed(0)} s in all`);
  print(`pretrained    ${points(outcome.pretrained)}\nfrom scratch  ${points(outcome.scratch)}\ndifference    ${points(outcome.pretrained.map((value, seed) => value - outcome.scratch[seed]))}`);
  return outcome;
}

if (process.argv[1]?.includes("sentiment")) await sentiment(usual);
