import { grown, type WordTable } from "./word-table.js";

/** For each text all pieces that occur in it: the edges of a graph from each place to each place behind it. They are found once; scores come and go. */
export class PieceLattice {
  private pieces = new Int32Array(1 << 16);
  private begins = new Uint16Array(1 << 16);
  private ends = new Uint16Array(1 << 16);
  /** The edges of text t are `starts[t]` to `starts[t + 1] - 1`, ordered by where they begin. */
  private readonly starts: Float64Array;
  private readonly forward: Float64Array;
  private readonly backward: Float64Array;
  private readonly via: Int32Array;

  constructor(
    private readonly texts: readonly string[],
    table: WordTable,
    maxLength: number,
  ) {
    this.starts = new Float64Array(texts.length + 1);
    let count = 0;
    let begin = 0;
    const visit = (end: number, piece: number): void => {
      if (count === this.pieces.length) {
        this.pieces = grown(this.pieces, Int32Array);
        this.begins = grown(this.begins, Uint16Array);
        this.ends = grown(this.ends, Uint16Array);
      }
      this.pieces[count] = piece;
      this.begins[count] = begin;
      this.ends[count++] = end;
    };
    texts.forEach((text, t) => {
      for (begin = 0; begin < text.length; begin++) table.prefixes(text, begin, Math.min(text.length, begin + maxLength), visit);
      this.starts[t + 1] = count;
    });
    const longest = texts.reduce((most, text) => Math.max(most, text.length), 0) + 1;
    this.forward = new Float64Array(longest);
    this.backward = new Float64Array(longest);
    this.via = new Int32Array(longest);
  }

  /**
   * Adds how often each piece is expected in text t, times `weight`, to `expected` (the forward-backward algorithm), and returns the logarithm of the text's
   * probability.
   */
  expect(t: number, scores: Float64Array, weight: number, expected: Float64Array): number {
    const { forward, backward, pieces, begins, ends } = this;
    const n = this.texts[t].length;
    const [from, to] = [this.starts[t], this.starts[t + 1]];
    forward.fill(-Infinity, 0, n + 1);
    backward.fill(-Infinity, 0, n + 1);
    forward[0] = backward[n] = 0;
    for (let e = from; e < to; e++) forward[ends[e]] = logAdd(forward[ends[e]], forward[begins[e]] + scores[pieces[e]]);
    for (let e = to - 1; e >= from; e--) backward[begins[e]] = logAdd(backward[begins[e]], backward[ends[e]] + scores[pieces[e]]);
    const total = forward[n];
    if (total === -Infinity) return 0; // a character that is no piece
    for (let e = from; e < to; e++) {
      const share = forward[begins[e]] + scores[pieces[e]] + backward[ends[e]] - total;
      if (share > -50) expected[pieces[e]] += weight * Math.exp(share);
    }
    return total;
  }

  /** The most probable pieces of text t (Viterbi), without the piece `except`; undefined where there are none. */
  best(t: number, scores: Float64Array, except = -1): { readonly pieces: readonly number[]; readonly score: number } | undefined {
    const { forward, via, pieces, begins, ends } = this;
    const n = this.texts[t].length;
    forward.fill(-Infinity, 0, n + 1);
    forward[0] = 0;
    for (let e = this.starts[t]; e < this.starts[t + 1]; e++) {
      if (pieces[e] === except) continue;
      const score = forward[begins[e]] + scores[pieces[e]];
      if (score > forward[ends[e]]) {
        forward[ends[e]] = score;
        via[ends[e]] = e;
      }
    }
    if (forward[n] === -Infinity) return undefined;
    const path: number[] = [];
    for (let at = n; at > 0; at = begins[via[at]]) path.push(pieces[via[at]]);
    return { pieces: path.reverse(), score: forward[n] };
  }
}

/** log(exp(a) + exp(b)). */
function logAdd(a: number, b: number): number {
  if (a === -Infinity) return b;
  if (b === -Infinity) return a;
  const larger = a > b ? a : b;
  const difference = a > b ? b - a : a - b;
  return difference < -50 ? larger : larger + Math.log1p(Math.exp(difference));
}
