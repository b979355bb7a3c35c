import { beforeAll, describe, expect, it } from "vitest";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text, tokenizers } from "../data/index.js";
import { noGrad, tensor } from "../graph/index.js";
import { create, load, save, type TextModel } from "../models/index.js";
import { F, manualSeed } from "../ops/index.js";
import "../runtime/index.js";
import { classify, evaluateClassifier } from "./classify.js";
import { evaluate } from "./evaluate.js";
import * as metrics from "./metrics.js";
import { mlm } from "./mlm.js";
import { ArrayDataset } from "../data/index.js";
import { blobs, seeded, SmallNet } from "./testing/small-run.js";

const words = ["good", "fine", "bad", "poor"];
const rows = Array.from({ length: 48 }, (_, i) => ({ text: `a ${words[i % 4]} film by ${["her", "him", "them"][i % 3]}`, label: i % 4 < 2 ? "yes" : "no", place: String(i) }));
const classes = ["no", "yes"];
let tokenizer: tokenizers.Tokenizer;
let samples: text.ClassSample[];
const bert = () => ({ model_type: "bert", vocab_size: tokenizer.vocabSize, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 12 });

beforeAll(async () => {
  tokenizer = await tokenizers.trainWordPiece(rows.map((row) => row.text), { vocabSize: 90 });
  samples = text.encodeLabelled(rows, tokenizer, { classes }).samples;
});

describe("masked language modelling", () => {
  it("costs the mean over hidden words, whatever else is in the batch", async () => {
    manualSeed(1);
    const model = (await create(bert(), { task: "masked-lm" })).eval() as TextModel;
    const inputIds = tensor([[2, 5, 6, 3], [2, 7, 3, 0]], { dtype: "i32" });
    const attentionMask = tensor([[1, 1, 1, 1], [1, 1, 1, 0]], { dtype: "i32" });
    const some = noGrad(() => model.forward(inputIds, { attentionMask, labelPositions: tensor([2, 5, 0], { dtype: "i32" }), labels: tensor([[9, 8, -100]], { dtype: "i32" }) }));
    const all = noGrad(() => model.forward(inputIds, { attentionMask, labels: tensor([[-100, -100, 9, -100], [-100, 8, -100, -100]], { dtype: "i32" }) }));
    expect(some.logits.shape).toEqual([1, 3, tokenizer.vocabSize]);
    expect(some.loss!.item()).toBeCloseTo(all.loss!.item(), 5);
    const classifier = await create(bert(), { task: "sequence-classification" });
    expect(() => classifier.forward(inputIds, { labelPositions: tensor([0], { dtype: "i32" }) })).toThrow(/labelPositions are for heads that look at every token/);
  });

  it("learns, and gives the same bits again", async () => {
    const ids = samples.map(({ inputIds }) => inputIds);
    const run = async () => {
      manualSeed(2);
      const model = await create(bert(), { task: "masked-lm" });
      const { history } = await mlm(model, ids, { tokenizer, valid: ids.slice(0, 12), epochs: 8, batchSize: 8, lr: 0.01, seed: 4, progress: false });
      return history;
    };
    const [first, second] = [await run(), await run()];
    expect(first.at(-1)!.valid_loss).toBeLessThan(0.6 * first[0].valid_loss);
    expect(first.at(-1)!.valid_perplexity).toBeCloseTo(Math.exp(first.at(-1)!.valid_loss), 6);
    expect(second.map(({ loss, valid_loss }) => [loss, valid_loss])).toEqual(first.map(({ loss, valid_loss }) => [loss, valid_loss]));
    await expect(mlm(await create(bert(), { task: "masked-lm" }), [], { tokenizer })).rejects.toThrow(/there are no texts/);
  });
});

describe("classifiers of texts", () => {
  it("learn from a pretrained encoder, and are measured", async () => {
    manualSeed(3);
    const dir = mkdtempSync(join(tmpdir(), "graft-encoder-"));
    await save(dir, await create(bert(), { task: "masked-lm" }));
    const model = await load<TextModel>(dir, { task: "sequence-classification", classes });
    rmSync(dir, { recursive: true });
    const result = await classify(model, samples, { valid: samples.slice(0, 8), test: samples, epochs: 12, batchSize: 8, lr: 0.01, padId: tokenizer.padId, progress: false });
    expect(result.test!.accuracy).toBe(1);
    expect(result.history.at(-1)!.valid_accuracy).toBe(1);
    const found = await evaluateClassifier(model, samples, { padId: tokenizer.padId, classes, metrics: metrics.classification, batchSize: 5 });
    expect(found).toMatchObject({ samples: 48, accuracy: 1 });
    expect(found.metrics).toMatchObject({ f1_macro: 1, f1_weighted: 1, auc: 1, average_precision: 1 });
    expect(found.confusion!.names).toEqual(classes);
    const { labels, rows: probabilities } = found.probabilities!;
    expect(found.metrics.brier).toBeCloseTo(metrics.brierScore(labels, probabilities), 12);
    expect(found.metrics.calibration_error).toBeCloseTo(metrics.expectedCalibrationError(labels, probabilities), 12);
    expect(found.loss).toBeCloseTo(-labels.reduce((sum, label, i) => sum + Math.log(probabilities[i][label]), 0) / 48, 4);
    await expect(classify(model, [])).rejects.toThrow(/there are no samples/);
  });
});

it("metrics of probabilities are those of softmax over all batches", async () => {
  const model = seeded(() => new SmallNet()).eval();
  const data = blobs(40);
  const list = Array.from({ length: 40 }, (_, i) => data.get(i) as readonly [Float32Array, number]);
  const found = await evaluate(model, new ArrayDataset(list), { batchSize: 7, metrics: { auc: metrics.rocAuc(), ece: metrics.calibrationError({ bins: 5 }), accuracy: metrics.accuracy } });
  const values = await noGrad(() => F.softmax(model.forward(tensor(list.map(([x]) => [...x]))), 1)).toArray();
  const [labels, rows] = [list.map(([, label]) => label), values as number[][]];
  expect(found.metrics.auc).toBeCloseTo(metrics.rocAucScore(labels, rows), 6);
  expect(found.metrics.ece).toBeCloseTo(metrics.expectedCalibrationError(labels, rows, { bins: 5 }), 5);
});
