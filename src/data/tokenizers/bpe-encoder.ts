import { PairTable } from "./pair-table.js";
import type { Merge } from "./file-types.js";

const maxCached = 1 << 16; // words
const maxCachedLength = 64;

/** Applies merges to words: the earliest learnt first, of equal ones the leftmost; words are remembered. */
export class BpeEncoder {
  private readonly pairs = new PairTable();
  private readonly ranks: number[] = []; // of each pair
  private readonly merged: number[] = []; // the token each pair becomes
  private readonly ids = new Map<string, number>();
  private readonly tokens: string[] = [];
  private cache = new Map<string, readonly string[]>();

  constructor(
    merges: readonly Merge[],
    private readonly prefix: string,
    private readonly suffix: string,
  ) {
    merges.forEach(([a, b], rank) => {
      const pair = this.pairs.number(this.id(a), this.id(b));
      this.ranks[pair] = rank; // the last one counts, where a file has a merge twice
      this.merged[pair] = this.id(a + (prefix !== "" && b.startsWith(prefix) ? b.slice(prefix.length) : b));
    });
  }

  /** The tokens of a word; characters without a merge stay alone. */
  encode(word: string): readonly string[] {
    const known = this.cache.get(word);
    if (known !== undefined) return known;
    const symbols = Array.from(word);
    for (let i = 1; i < symbols.length && this.prefix !== ""; i++) symbols[i] = this.prefix + symbols[i];
    if (this.suffix !== "" && symbols.length > 0) symbols[symbols.length - 1] += this.suffix;
    const ids = symbols.map((symbol) => this.ids.get(symbol) ?? -1);
    const result = symbols.length > 48 ? this.mergeByQueue(ids, symbols) : this.mergeByScan(ids, symbols);
    if (word.length <= maxCachedLength) {
      if (this.cache.size >= maxCached) this.cache = new Map();
      this.cache.set(word, result);
    }
    return result;
  }

  private id(token: string): number {
    const old = this.ids.get(token);
    if (old !== undefined) return old;
    this.ids.set(token, this.tokens.length);
    return this.tokens.push(token) - 1;
  }

  private pair(a: number, b: number): number {
    return a < 0 || b < 0 ? -1 : this.pairs.find(a, b);
  }

  /** For short words: looks for the best pair anew after each merge. */
  private mergeByScan(ids: number[], symbols: string[]): string[] {
    for (;;) {
      let best = -1;
      let at = -1;
      for (let i = 1; i < ids.length; i++) {
        const pair = this.pair(ids[i - 1], ids[i]);
        if (pair >= 0 && (best < 0 || this.ranks[pair] < this.ranks[best])) [best, at] = [pair, i];
      }
      if (best < 0) return symbols;
      ids.splice(at - 1, 2, this.merged[best]);
      symbols.splice(at - 1, 2, this.tokens[this.merged[best]]);
    }
  }

  /** For long words (a whole text, where a tokenizer does not cut it): a heap of (rank, place), and links between what is left. */
  private mergeByQueue(ids: number[], symbols: string[]): string[] {
    const count = ids.length;
    const next = Int32Array.from({ length: count }, (_, i) => i + 1);
    const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
    const heap = new KeyHeap();
    const offer = (left: number): void => {
      const pair = left >= 0 && next[left] < count ? this.pair(ids[left], ids[next[left]]) : -1;
      if (pair >= 0) heap.push(this.ranks[pair] * 2 ** 31 + left);
    };
    for (let i = 0; i < count; i++) offer(i);
    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const left = key % 2 ** 31;
      const rank = (key - left) / 2 ** 31;
      if (next[left] < 0 || next[left] >= count) continue; // merged away, or the last one
      const right = next[left];
      const pair = this.pair(ids[left], ids[right]);
      if (pair < 0 || this.ranks[pair] !== rank) continue; // another pair stands there by now
      ids[left] = this.merged[pair];
      symbols[left] = this.tokens[ids[left]];
      next[left] = next[right];
      if (next[left] < count) previous[next[left]] = left;
      next[right] = -1;
      offer(left);
      offer(previous[left]);
    }
    const result: string[] = [];
    for (let i = 0; i < count; i = next[i]) result.push(symbols[i]);
    return result;
  }
}

/** A binary heap of numbers, the smallest first. */
class KeyHeap {
  private readonly keys: number[] = [];

  push(key: number): void {
    const { keys } = this;
    let at = keys.push(key) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent] <= key) break;
      keys[at] = keys[parent];
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number | undefined {
    const { keys } = this;
    const top = keys[0];
    const last = keys.pop();
    if (last === undefined || keys.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= keys.length) break;
      if (child + 1 < keys.length && keys[child + 1] < keys[child]) child++;
      if (keys[child] >= last) break;
      keys[at] = keys[child];
      at = child;
    }
    keys[at] = last;
    return top;
  }
}
