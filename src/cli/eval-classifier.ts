import { text, tokenizers } from "../data/index.js";
import type { JsonObject } from "../io/index.js";
import { load, type TextModel } from "../models/index.js";
import { evaluateClassifier, metrics } from "../train/index.js";
import type { Report } from "./eval-text.js";
import { lengthLimit } from "./open-text-model.js";
import { note, print, table } from "./output.js";
import { countsOf, showTest } from "./show-test.js";

/** Names of a text classifier's classes, in the order of its outputs; undefined where its config has none. */
export function labelsOf({ id2label }: JsonObject): string[] | undefined {
  if (typeof id2label !== "object" || id2label === null || Array.isArray(id2label)) return undefined;
  return Object.entries(id2label).sort(([a], [b]) => Number(a) - Number(b)).map(([, name]) => String(name));
}

/** Measures a text classifier on texts with classes. */
export async function evalClassifier(folder: string, rows: readonly text.LabelledText[], flags: { readonly batchSize?: number; readonly maxLength?: number }): Promise<Report> {
  const [model, tokenizer] = [await load<TextModel>(folder), await tokenizers.Tokenizer.load(folder)];
  tokenizer.checkFits(model.config.vocab_size as number, folder);
  const classes = labelsOf(model.config)!; // it has some, be it LABEL_0
  const maxLength = lengthLimit("eval", model, flags.maxLength);
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
