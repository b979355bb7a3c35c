import { grown } from "./word-table.js";
import type { PairTable } from "./pair-table.js";

/** Where a pair stands: numbers of words, ascending, each once. */
export type Places = Int32Array | readonly number[];

const none: Places = [];

/**
 * Pairs to merge, the most frequent first; of equally frequent ones the pair with the smaller first id, then the smaller second id.
 *
 * An entry keeps the count it was put in with; the caller compares it with the pair's present count and puts it back if that has changed.
 */
export class MergeQueue {
  private heap = new Int32Array(1 << 11); // entries
  private length = 0;
  private counts = new Float64Array(1 << 11);
  private pairs = new Int32Array(1 << 11);
  private readonly places: Places[] = [];

  constructor(private readonly table: PairTable) {}

  push(pair: number, count: number, places: Places): void {
    const entry = this.places.length;
    this.places.push(places);
    if (entry === this.counts.length) {
      this.counts = grown(this.counts, Float64Array);
      this.pairs = grown(this.pairs, Int32Array);
    }
    this.counts[entry] = count;
    this.pairs[entry] = pair;
    this.insert(entry);
  }

  /** Takes out the first entry whose count is still right. */
  pop(): { readonly pair: number; readonly count: number; readonly places: Places } | undefined {
    while (this.length > 0) {
      const entry = this.heap[0];
      const pair = this.pairs[entry];
      const count = this.table.counts[pair];
      if (count !== this.counts[entry]) {
        this.counts[entry] = count; // never more than before, or another entry of this pair carries the rest
        this.sink(entry);
        continue;
      }
      const last = this.heap[--this.length];
      if (this.length > 0) this.sink(last);
      const places = this.places[entry];
      this.places[entry] = none;
      return { pair, count, places };
    }
    return undefined;
  }

  private before(a: number, b: number): boolean {
    const difference = this.counts[a] - this.counts[b];
    if (difference !== 0) return difference > 0;
    const p = this.pairs[a];
    const q = this.pairs[b];
    const { first, second } = this.table;
    return first[p] !== first[q] ? first[p] < first[q] : second[p] < second[q];
  }

  private insert(entry: number): void {
    if (this.length === this.heap.length) this.heap = grown(this.heap, Int32Array);
    let at = this.length++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(entry, this.heap[parent])) break;
      this.heap[at] = this.heap[parent];
      at = parent;
    }
    this.heap[at] = entry;
  }

  /** Puts an entry in the place of the first one. */
  private sink(entry: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.length) break;
      if (child + 1 < this.length && this.before(this.heap[child + 1], this.heap[child])) child++;
      if (!this.before(this.heap[child], entry)) break;
      this.heap[at] = this.heap[child];
      at = child;
    }
    this.heap[at] = entry;
  }
}
