import { grown } from "./word-table.js";

/** Numbers pairs of token ids in the order of their first appearance and counts them. */
export class PairTable {
  private slots = new Int32Array(1 << 12).fill(-1);
  first = new Int32Array(1 << 11);
  second = new Int32Array(1 << 11);
  counts = new Float64Array(1 << 11);
  size = 0;

  /** The number of a pair, which is new with count 0 if it was not there. */
  number(a: number, b: number): number {
    const mask = this.slots.length - 1;
    let slot = hashOf(a, b) & mask;
    for (let pair = this.slots[slot]; pair !== -1; pair = this.slots[slot]) {
      if (this.first[pair] === a && this.second[pair] === b) return pair;
      slot = (slot + 1) & mask;
    }
    if (this.size === this.first.length) {
      this.first = grown(this.first, Int32Array);
      this.second = grown(this.second, Int32Array);
      this.counts = grown(this.counts, Float64Array);
    }
    const pair = this.size++;
    this.first[pair] = a;
    this.second[pair] = b;
    this.slots[slot] = pair;
    if (this.size * 2 > this.slots.length) this.rehash();
    return pair;
  }

  /** The number of a pair, or -1. */
  find(a: number, b: number): number {
    const mask = this.slots.length - 1;
    let slot = hashOf(a, b) & mask;
    for (let pair = this.slots[slot]; pair !== -1; pair = this.slots[slot]) {
      if (this.first[pair] === a && this.second[pair] === b) return pair;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  private rehash(): void {
    this.slots = new Int32Array(this.slots.length * 2).fill(-1);
    const mask = this.slots.length - 1;
    for (let pair = 0; pair < this.size; pair++) {
      let slot = hashOf(this.first[pair], this.second[pair]) & mask;
      while (this.slots[slot] !== -1) slot = (slot + 1) & mask;
      this.slots[slot] = pair;
    }
  }
}

function hashOf(a: number, b: number): number {
  const hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77);
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 8;
}
