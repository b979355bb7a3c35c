import { MergeQueue } from "./merge-queue.js";
import { PairTable } from "./pair-table.js";

/** Words as token ids, laid one after the other. */
export interface WordPieces {
  /** The ids of word w stand at `starts[w]` to `starts[w + 1] - 1`. They are overwritten. */
  readonly ids: Int32Array;
  readonly starts: Int32Array;
  readonly counts: Float64Array;
}

/** A vocabulary that grows: the text of each token, by id, and back. */
export class Vocabulary {
  readonly tokens: string[] = [];
  private readonly ids = new Map<string, number>();

  get size(): number {
    return this.tokens.length;
  }

  id(token: string): number | undefined {
    return this.ids.get(token);
  }

  /** The id of a token, which becomes the last one if it was not there. */
  add(token: string): number {
    const old = this.ids.get(token);
    if (old !== undefined) return old;
    this.ids.set(token, this.tokens.length);
    return this.tokens.push(token) - 1;
  }
}

/** Options of {@link learnMerges}. */
export interface MergeOptions {
  readonly vocabSize: number;
  readonly minFrequency: number;
  /** Tokens have fewer characters than this. */
  readonly maxTokenLength: number;
  /** Stands in front of every token that does not begin a word (`##`). */
  readonly prefix: string;
}

/**
 * Byte-pair encoding (Sennrich et al. 2016): joins the most frequent neighbours until the vocabulary is full; counts are kept up to date by looking only
 * at the words that hold the pair. Adds to `vocabulary` and returns the merges in their order.
 *
 * Ties go to the pair with the smaller ids, and a pair that comes up again after its merge is merged again at its later rank, which is how the
 * `tokenizers` package of Hugging Face learns: the merges are equal to its.
 */
export function learnMerges(words: WordPieces, vocabulary: Vocabulary, { vocabSize, minFrequency, maxTokenLength, prefix }: MergeOptions): [string, string][] {
  const { ids, starts, counts } = words;
  const ends = starts.slice(1);
  const pairs = new PairTable();
  const queue = new MergeQueue(pairs);
  countPairs(words, pairs, queue);

  const lengths: number[] = new Array<number>(vocabulary.size).fill(1); // characters of each token
  const merges = new Map<number, number>(); // pair -> rank; a later rank replaces an earlier one
  let found = new Array<number[] | undefined>(pairs.size); // words in which this merge made a pair
  const touched: number[] = [];
  const change = (a: number, b: number, by: number, word: number): void => {
    const pair = pairs.number(a, b);
    pairs.counts[pair] += by;
    if (by < 0) return;
    const list = found[pair];
    if (list === undefined) {
      found[pair] = [word];
      touched.push(pair);
    } else if (list[list.length - 1] !== word) list.push(word);
  };

  let rank = 0;
  while (vocabulary.size < vocabSize) {
    const top = queue.pop();
    if (top === undefined || top.count < 1 || top.count < minFrequency) break;
    const [a, b] = [pairs.first[top.pair], pairs.second[top.pair]];
    const tail = vocabulary.tokens[b];
    const merged = vocabulary.add(vocabulary.tokens[a] + (prefix !== "" && tail.startsWith(prefix) ? tail.slice(prefix.length) : tail));
    const length = (lengths[merged] = lengths[a] + lengths[b]);
    merges.delete(top.pair);
    merges.set(top.pair, rank++);
    for (let p = 0; p < top.places.length; p++) {
      const word = top.places[p];
      const count = counts[word];
      let end = ends[word];
      let write = starts[word];
      // Reads ahead of where it writes; what stands before `write` is final, what stands from `read` on is as it was.
      for (let read = write; read < end; ) {
        if (ids[read] !== a || read + 1 >= end || ids[read + 1] !== b) {
          ids[write++] = ids[read++];
          continue;
        }
        read += 2;
        if (write > starts[word]) {
          const before = ids[write - 1];
          change(before, a, -count, word);
          if (lengths[before] + length < maxTokenLength) change(before, merged, count, word);
        }
        if (read < end) {
          const after = ids[read];
          change(b, after, -count, word);
          if (lengths[after] + length < maxTokenLength) change(merged, after, count, word);
        }
        ids[write++] = merged;
      }
      ends[word] = end = write;
    }
    for (const pair of touched) {
      if (pairs.counts[pair] > 0) queue.push(pair, pairs.counts[pair], found[pair]!);
      found[pair] = undefined;
    }
    touched.length = 0;
  }
  found = [];
  return [...merges.keys()].map((pair) => [vocabulary.tokens[pairs.first[pair]], vocabulary.tokens[pairs.second[pair]]]);
}

/** Counts the pairs in all words and puts them into the queue with the words they stand in. */
function countPairs({ ids, starts, counts }: WordPieces, pairs: PairTable, queue: MergeQueue): void {
  const words = counts.length;
  const visit = (each: (pair: number, word: number) => void): void => {
    for (let word = 0; word < words; word++) {
      for (let i = starts[word] + 1; i < starts[word + 1]; i++) each(pairs.number(ids[i - 1], ids[i]), word);
    }
  };
  const last: number[] = [];
  const sizes: number[] = [];
  visit((pair, word) => {
    pairs.counts[pair] += counts[word];
    if (last[pair] === word) return;
    last[pair] = word;
    sizes[pair] = (sizes[pair] ?? 0) + 1;
  });
  const places = new Int32Array(sizes.reduce((sum, size) => sum + size, 0));
  const at = new Int32Array(sizes.length);
  for (let pair = 1; pair < sizes.length; pair++) at[pair] = at[pair - 1] + sizes[pair - 1];
  const from = at.slice();
  visit((pair, word) => {
    if (at[pair] > from[pair] && places[at[pair] - 1] === word) return;
    places[at[pair]++] = word;
  });
  for (let pair = 0; pair < pairs.size; pair++) if (pairs.counts[pair] > 0) queue.push(pair, pairs.counts[pair], places.subarray(from[pair], at[pair]));
}
