import { hashWords } from "../plan/index.js";

interface Entry<T> {
  readonly words: Int32Array;
  readonly value: T;
  used: number;
}

/** Values by the words of a graph's signature. Holds the `limit` that were used last; equal hashes are told apart by the words themselves. */
export class PlanCache<T> {
  private readonly buckets = new Map<number, Entry<T>[]>();
  private size = 0;
  private clock = 0;

  constructor(private readonly limit: number) {}

  get(words: Int32Array): T | undefined {
    for (const entry of this.buckets.get(hashWords(words)) ?? []) {
      if (!equal(entry.words, words)) continue;
      entry.used = ++this.clock;
      return entry.value;
    }
    return undefined;
  }

  set(words: Int32Array, value: T): void {
    const hash = hashWords(words);
    const entry: Entry<T> = { words: words.slice(), value, used: ++this.clock };
    const bucket = this.buckets.get(hash);
    if (bucket === undefined) this.buckets.set(hash, [entry]);
    else bucket.push(entry);
    if (++this.size > this.limit) this.evict();
  }

  private evict(): void {
    let oldest: { hash: number; entry: Entry<T> } | undefined;
    for (const [hash, bucket] of this.buckets) for (const entry of bucket) if (oldest === undefined || entry.used < oldest.entry.used) oldest = { hash, entry };
    if (oldest === undefined) return;
    const rest = this.buckets.get(oldest.hash)!.filter((entry) => entry !== oldest.entry);
    if (rest.length === 0) this.buckets.delete(oldest.hash);
    else this.buckets.set(oldest.hash, rest);
    this.size--;
  }
}

function equal(a: Int32Array, b: Int32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
