// The hash of Fowler, Noll and Vo over code units.
const seed = 0x811c9dc5;
const prime = 0x01000193;

/** Words with their counts, kept as code units in one pool, so that counting makes no strings. */
export class WordTable {
  private slots = new Int32Array(1 << 12).fill(-1);
  private hashes = new Int32Array(1 << 11);
  private starts = new Float64Array((1 << 11) + 1);
  private pool = new Uint16Array(1 << 14);
  private counted = new Float64Array(1 << 11);
  /** Different words. */
  size = 0;

  /** Counts the word that stands in `text` from `from` to `to`, and returns its number. */
  add(text: string, from: number, to: number, count = 1): number {
    let hash = seed;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ text.charCodeAt(i), prime);
    hash ^= hash >>> 15;
    const mask = this.slots.length - 1;
    let slot = hash & mask;
    for (let word = this.slots[slot]; word !== -1; word = this.slots[slot]) {
      if (this.hashes[word] === hash && this.equals(word, text, from, to)) {
        this.counted[word] += count;
        return word;
      }
      slot = (slot + 1) & mask;
    }
    const word = this.append(text, from, to, hash, count);
    this.slots[slot] = word;
    if (this.size * 2 > this.slots.length) this.rehash();
    return word;
  }

  /** Visits the known words that begin at `from`, from the shortest on; `end` is where each ends. */
  prefixes(text: string, from: number, to: number, visit: (end: number, word: number) => void): void {
    const mask = this.slots.length - 1;
    let running = seed;
    for (let end = from + 1; end <= to; end++) {
      running = Math.imul(running ^ text.charCodeAt(end - 1), prime);
      const hash = running ^ (running >>> 15);
      let slot = hash & mask;
      for (let word = this.slots[slot]; word !== -1; word = this.slots[slot]) {
        if (this.hashes[word] === hash && this.equals(word, text, from, end)) {
          visit(end, word);
          break;
        }
        slot = (slot + 1) & mask;
      }
    }
  }

  count(word: number): number {
    return this.counted[word];
  }

  text(word: number): string {
    const units = this.pool.subarray(this.starts[word], this.starts[word + 1]);
    let text = "";
    for (let i = 0; i < units.length; i += 4096) text += String.fromCharCode(...units.subarray(i, i + 4096));
    return text;
  }

  /** Bytes that the words take. */
  get bytes(): number {
    return this.starts[this.size] * 2 + this.size * 20 + this.slots.length * 4;
  }

  private equals(word: number, text: string, from: number, to: number): boolean {
    const start = this.starts[word];
    if (this.starts[word + 1] - start !== to - from) return false;
    for (let i = from, j = start; i < to; i++, j++) if (this.pool[j] !== text.charCodeAt(i)) return false;
    return true;
  }

  private append(text: string, from: number, to: number, hash: number, count: number): number {
    const word = this.size++;
    const start = this.starts[word];
    const end = start + to - from;
    if (end > this.pool.length) this.pool = grown(this.pool, Uint16Array, end);
    if (this.size > this.hashes.length) {
      this.hashes = grown(this.hashes, Int32Array, this.size);
      this.counted = grown(this.counted, Float64Array, this.size);
      this.starts = grown(this.starts, Float64Array, this.size * 2 + 1);
    }
    for (let i = from, j = start; i < to; i++, j++) this.pool[j] = text.charCodeAt(i);
    this.starts[this.size] = end;
    this.hashes[word] = hash;
    this.counted[word] = count;
    return word;
  }

  private rehash(): void {
    this.slots = new Int32Array(this.slots.length * 2).fill(-1);
    const mask = this.slots.length - 1;
    for (let word = 0; word < this.size; word++) {
      let slot = this.hashes[word] & mask;
      while (this.slots[slot] !== -1) slot = (slot + 1) & mask;
      this.slots[slot] = word;
    }
  }
}

type Growable = Int32Array | Uint16Array | Float64Array;

/** A copy of twice the length, at least `needed`. */
export function grown<T extends Growable>(array: T, make: new (length: number) => T, needed = 0): T {
  const larger = new make(Math.max(array.length * 2, needed));
  larger.set(array);
  return larger;
}
