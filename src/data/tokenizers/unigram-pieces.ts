import { PieceLattice } from "./piece-lattice.js";
import { WordTable } from "./word-table.js";

/** A text and how often it occurs. */
export interface CountedText {
  readonly word: string;
  readonly count: number;
}

/** What learning a unigram vocabulary needs to know. */
export interface UnigramSettings {
  /** Pieces to keep. */
  readonly size: number;
  readonly seedSize: number;
  readonly shrinkingFactor: number;
  readonly subIterations: number;
  readonly maxPieceLength: number;
}

/** Substrings that may be counted for the first vocabulary: beyond it, rare words are left out. */
const maxSubstrings = 2e7;

/**
 * Learns pieces with their log probabilities (Kudo 2018, "Subword regularization"): from a large vocabulary of frequent substrings, the EM algorithm fits the
 * probabilities, and the pieces are dropped whose loss lowers the likelihood of the text least, until `size` are left. Single characters always stay.
 */
export function learnPieces(words: readonly CountedText[], settings: UnigramSettings): [string, number][] {
  const { shrinkingFactor, subIterations } = settings;
  const { table, isCharacter } = seedPieces(words, settings);
  const lattice = new PieceLattice(words.map(({ word }) => word), table, settings.maxPieceLength);
  let total = 0;
  for (let i = 0; i < table.size; i++) total += table.count(i);
  const scores = Float64Array.from({ length: table.size }, (_, i) => Math.log(table.count(i) / total));
  let alive = Array.from({ length: table.size }, (_, i) => i);
  const desired = Math.max(isCharacter.reduce((sum, is) => sum + is, 0), Math.floor(settings.size * 1.1)); // the last tenth is decided by the scores alone
  for (;;) {
    for (let i = 0; i < subIterations; i++) alive = refit(words, lattice, scores, alive, isCharacter);
    if (alive.length <= desired) break;
    const kept = prune(words, lattice, table, scores, alive, isCharacter, Math.max(desired, Math.floor(alive.length * shrinkingFactor)), settings.maxPieceLength);
    if (kept.length === alive.length) break;
    const stays = new Uint8Array(table.size);
    for (const piece of kept) stays[piece] = 1;
    for (const piece of alive) if (stays[piece] === 0) scores[piece] = -Infinity;
    alive = kept;
  }
  const byScore = (a: number, b: number): number => scores[b] - scores[a] || a - b;
  const characters = alive.filter((piece) => isCharacter[piece] === 1).sort(byScore).slice(0, settings.size);
  const others = alive.filter((piece) => isCharacter[piece] === 0).sort(byScore).slice(0, settings.size - characters.length);
  return [...characters, ...others].sort(byScore).map((piece) => [table.text(piece), scores[piece]]);
}

/** All characters, and the substrings of words with the highest product of frequency and length. */
function seedPieces(words: readonly CountedText[], { seedSize, maxPieceLength }: UnigramSettings): { readonly table: WordTable; readonly isCharacter: Uint8Array } {
  const characters = new Map<string, number>();
  for (const { word, count } of words) for (const character of word) characters.set(character, (characters.get(character) ?? 0) + count);

  const substrings = new WordTable();
  let counted = 0;
  const isLow = (text: string, at: number): boolean => (text.charCodeAt(at) & 0xfc00) === 0xdc00; // the second half of a character
  for (const { word, count } of [...words].sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1))) {
    for (let from = 0; from < word.length; from++) {
      if (isLow(word, from)) continue;
      for (let to = from + 2; to <= Math.min(word.length, from + maxPieceLength); to++) {
        if (isLow(word, to)) continue;
        substrings.add(word, from, to, count);
        counted++;
      }
    }
    if (counted > maxSubstrings) break;
  }
  const weighted: { readonly word: string; readonly score: number }[] = [];
  for (let i = 0; i < substrings.size; i++) {
    if (substrings.count(i) < 2) continue;
    const word = substrings.text(i);
    const length = Array.from(word).length;
    if (length > 1) weighted.push({ word, score: substrings.count(i) * length });
  }
  weighted.sort((a, b) => b.score - a.score || (a.word < b.word ? -1 : 1));

  const table = new WordTable();
  for (const [character, count] of [...characters].sort(([a], [b]) => (a < b ? -1 : 1))) table.add(character, 0, character.length, count);
  const isCharacter = new Uint8Array(table.size + Math.min(seedSize, weighted.length)).fill(1, 0, table.size);
  for (const { word, score } of weighted.slice(0, seedSize)) table.add(word, 0, word.length, score);
  return { table, isCharacter };
}

/** One round of EM: how often is each piece expected, and what probability follows from that. Pieces that are hardly expected at all are dropped. */
function refit(words: readonly CountedText[], lattice: PieceLattice, scores: Float64Array, alive: readonly number[], isCharacter: Uint8Array): number[] {
  const expected = new Float64Array(scores.length);
  words.forEach(({ count }, t) => lattice.expect(t, scores, count, expected));
  const kept = alive.filter((piece) => expected[piece] >= 0.5 || isCharacter[piece] === 1);
  let total = 0;
  for (const piece of kept) total += Math.max(expected[piece], floor);
  scores.fill(-Infinity);
  // The expected logarithm under a Dirichlet posterior, which takes from rare pieces more than the plain logarithm does.
  for (const piece of kept) scores[piece] = digamma(Math.max(expected[piece], floor)) - digamma(total);
  return kept;
}

/** A character that the pieces have taken over entirely still gets a probability. */
const floor = 0.1;

/** Keeps the `size` pieces without which the likelihood would fall most. */
function prune(
  words: readonly CountedText[],
  lattice: PieceLattice,
  table: WordTable,
  scores: Float64Array,
  alive: readonly number[],
  isCharacter: Uint8Array,
  size: number,
  maxLength: number,
): number[] {
  const used = new Float64Array(scores.length); // occurrences in the best segmentations
  words.forEach(({ count }, t) => {
    for (const piece of lattice.best(t, scores)?.pieces ?? []) used[piece] += count;
  });
  let sum = 0;
  for (const piece of alive) sum += used[piece];
  const kept = alive.filter((piece) => isCharacter[piece] === 1);
  const candidates = alive.filter((piece) => isCharacter[piece] === 0 && used[piece] > 0);
  const inner = new PieceLattice(candidates.map((piece) => table.text(piece)), table, maxLength);
  const losses = candidates.map((piece, t): { readonly piece: number; readonly loss: number } => {
    const alternative = inner.best(t, scores, piece)?.pieces ?? [];
    // Each of its occurrences would become one of each piece of the alternative.
    const now = Math.log(used[piece]) - Math.log(sum);
    const rest = Math.log(sum + used[piece] * (alternative.length - 1));
    const then = alternative.reduce((total, other) => total + Math.log(used[other] + used[piece]) - rest, 0);
    return { piece, loss: used[piece] * (now - then) };
  });
  losses.sort((a, b) => b.loss - a.loss || a.piece - b.piece);
  for (const { piece } of losses) {
    if (kept.length >= size) break;
    kept.push(piece);
  }
  return kept.sort((a, b) => a - b);
}

/** The derivative of log gamma, by its recurrence and asymptotic series. */
function digamma(x: number): number {
  let result = 0;
  while (x < 7) result -= 1 / x++;
  const y = 1 / (x * x);
  return result + Math.log(x) - 0.5 / x - y * (1 / 12 - y * (1 / 120 - y / 252));
}
