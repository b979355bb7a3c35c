import { text, tokenizers } from "../data/index.js";
import { contextLength, load, type TextModel } from "../models/index.js";
import { evaluateClassifier, metrics } from "../train/index.js";
import type { Report } from "./eval-text.js";
import { note, print, table } from "./output.js";
import { countsOf, showTest } from "./show-test.js";

/** Names of a text classifier's classes, in the order of its outputs. */
export function labelsOf(model: TextModel): string[] {
  const id2label = model.config.id2label as Readonly<Record<string, string>>;
  return Object.keys(id2label).map(Number).sort((a, b) => a - b).map((i) => id2label[i]);
}

/** Measures a text classifier on texts with classes. */
export async function evalClassifier(folder: string, rows: readonly text.LabelledText[], flags: { readonly batchSize?: number; readonly maxLength?: number }): Promise<Report> {
  const [model, tokenizer] = [await load<TextModel>(folder), await tokenizers.Tokenizer.load(folder)];
  tokenizer.checkFits(model.config.vocab_size as number, folder);
  const classes = labelsOf(model);
  const maxLength = flags.maxLength ?? contextLength(model);
  const { samples, overLong } = text.encodeLabelled(rows, tokenizer, { classes, ...(maxLength === undefined ? {} : { maxLength }) });
  if (overLong > 0) note(`${overLong} of ${rows.length} text(s) are longer than ${maxLength} tokens: cut at their end`);
  const found = await evaluateClassifier(model, samples, { padId: tokenizer.padId, classes, batchSize: flags.batchSize, metrics: metrics.classification });
  const { labels, rows: probabilities } = found.probabilities!;
  const bins = metrics.reliability(labels, probabilities).filter((bin) => bin.samples > 0);
  return {
    numbers: { task: "classification", samples: found.samples, loss: found.loss, ...found.metrics, perClass: found.perClass, confusion: countsOf(found), reliability: bins },
    show: () => {
      showTest(found, "all");
      const lines = bins.map(({ from, to, samples: count, confidence, accuracy }) => [`${from.toFixed(1)} to ${to.toFixed(1)}`, String(count), confidence.toFixed(3), accuracy.toFixed(3)]);
      print(`\n${table([["confidence", "samples", "mean", "right"], ...lines], { right: [1, 2, 3] })}`);
    },
  };
}
