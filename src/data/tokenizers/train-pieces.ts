import type { WordTable } from "./word-table.js";
import { sortedWords } from "./count-words.js";
import { learnMerges, Vocabulary, type WordPieces } from "./learn-merges.js";

/** What learning byte-pair merges needs to know. */
export interface PieceOptions {
  readonly vocabSize: number;
  readonly minFrequency: number;
  readonly maxTokenLength: number;
  readonly special: readonly string[];
  /** Characters that are tokens even if the texts lack them. */
  readonly alphabet: Iterable<string>;
  /** Keeps only so many characters, the most frequent ones. */
  readonly limitAlphabet: number;
  readonly prefix: string;
  readonly suffix: string;
  /** Changes a counted word into the text that is cut into characters. */
  readonly spell: (word: string) => string;
}

/** Learns a vocabulary and merges from counted words: special tokens first, then the characters in the order of their code points, then merges. */
export function trainPieces(table: WordTable, options: PieceOptions): { readonly vocabulary: Vocabulary; readonly merges: [string, string][] } {
  const words = sortedWords(table).map(({ word, count }) => ({ characters: Array.from(options.spell(word)), count }));
  const vocabulary = new Vocabulary();
  for (const token of options.special) vocabulary.add(token);
  for (const character of chooseAlphabet(words, options)) vocabulary.add(character);

  const { prefix, suffix } = options;
  const ids = new Int32Array(words.reduce((sum, { characters }) => sum + characters.length, 0));
  const starts = new Int32Array(words.length + 1);
  let at = 0;
  words.forEach(({ characters }, w) => {
    characters.forEach((character, i) => {
      if (vocabulary.id(character) === undefined) return; // not in the alphabet: its neighbours become neighbours
      const spelt = prefix === "" && suffix === "" ? character : (i > 0 ? prefix : "") + character + (i === characters.length - 1 ? suffix : "");
      ids[at++] = vocabulary.add(spelt);
    });
    starts[w + 1] = at;
  });
  const pieces: WordPieces = { ids, starts, counts: Float64Array.from(words, ({ count }) => count) };
  return { vocabulary, merges: learnMerges(pieces, vocabulary, options) };
}

function chooseAlphabet(words: readonly { readonly characters: readonly string[]; readonly count: number }[], { alphabet, limitAlphabet }: PieceOptions): string[] {
  const counts = new Map<string, number>();
  for (const { characters, count } of words) for (const character of characters) counts.set(character, (counts.get(character) ?? 0) + count);
  for (const character of alphabet) counts.set(Array.from(character)[0], Infinity);
  const codePoint = (character: string): number => character.codePointAt(0)!;
  const kept = [...counts].sort(([a, m], [b, n]) => (m === n ? codePoint(a) - codePoint(b) : n - m)).slice(0, limitAlphabet);
  return kept.map(([character]) => character).sort((a, b) => codePoint(a) - codePoint(b));
}
