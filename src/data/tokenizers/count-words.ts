import { GraftError } from "../../base/index.js";
import type { Splitter } from "./split.js";
import { WordTable } from "./word-table.js";

/** Texts to train on: each is cut into words by itself. `data.text.texts(path)` reads files as the tokenizers package does. */
export type Texts = Iterable<string> | AsyncIterable<string>;

/** How a text becomes words. */
export interface WordRules {
  /** Changes a text before it is cut. */
  readonly prepare?: (text: string) => string;
  readonly split: Splitter;
}

/** Counts the words of all texts, which are read one after the other. Throws `argument` for what is not text. */
export async function countWords(texts: Texts, { prepare, split }: WordRules): Promise<WordTable> {
  const table = new WordTable();
  let text = "";
  const word = (from: number, to: number): void => void table.add(text, from, to);
  const add = (next: unknown): void => {
    if (typeof next !== "string") throw new GraftError("argument", `training a tokenizer: a text is ${next === null ? "null" : typeof next}. Give strings.`);
    text = prepare === undefined ? next : prepare(next);
    split(text, 0, text.length, word);
  };
  if (typeof texts === "string") throw new GraftError("argument", "training a tokenizer: the texts are one string. Pass a list of texts, or data.text.texts(path).");
  if (Symbol.asyncIterator in texts) for await (const next of texts) add(next);
  else for (const next of texts) add(next);
  if (table.size === 0) throw new GraftError("argument", "training a tokenizer: the texts hold no words. Check the files and their pattern.");
  return table;
}

/** The words in the order of their text, so that the result does not depend on the order of the texts. */
export function sortedWords(table: WordTable): { readonly word: string; readonly count: number }[] {
  const words = Array.from({ length: table.size }, (_, i) => ({ word: table.text(i), count: table.count(i) }));
  return words.sort((a, b) => (a.word < b.word ? -1 : 1));
}
