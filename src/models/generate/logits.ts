/** How the next token is drawn. */
export interface SamplingOptions {
  /** Logits are divided by it: 0 (the default) always takes the most likely token, 1 samples from the model's own distribution. */
  readonly temperature?: number;
  /** Only the k most likely tokens stay. */
  readonly topK?: number;
  /** Only the most likely tokens that together reach this probability stay (Holtzman et al., "The curious case of neural text degeneration", 2020). */
  readonly topP?: number;
  /** Only tokens at least this times as likely as the most likely one stay (Nguyen et al., "Min-p sampling", 2024). */
  readonly minP?: number;
  /** Logits of tokens that occurred are divided by it, or multiplied where they are negative (Keskar et al., "CTRL", 2019). 1 changes nothing. */
  readonly repetitionPenalty?: number;
}

/** Makes tokens that occurred less likely, in place. */
export function penalize(logits: Float32Array, occurred: Iterable<number>, penalty: number): void {
  for (const token of new Set(occurred)) logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
}

/** The tokens that are likely enough, most likely first, with their logits divided by the temperature; all options as in Transformers and in its order. */
export function candidates(logits: Float32Array, { temperature = 1, topK, topP, minP }: SamplingOptions): { readonly tokens: Int32Array; readonly logits: Float64Array } {
  const V = logits.length;
  let tokens = largest(logits, topK === undefined ? V : Math.min(topK, V), topP !== undefined || minP !== undefined || topK !== undefined);
  const scaled = (list: Int32Array): Float64Array => Float64Array.from(list, (token) => logits[token] / temperature);
  let kept = scaled(tokens);
  if (topP !== undefined && topP < 1) {
    const p = probabilities(kept);
    let total = 0;
    let count = 0;
    while (count < p.length && total < topP) total += p[count++]; // the token that crosses the line stays
    tokens = tokens.subarray(0, Math.max(1, count));
    kept = scaled(tokens);
  }
  if (minP !== undefined) {
    const least = kept[0] + Math.log(minP); // p_i >= minP p_0
    let count = 1;
    while (count < kept.length && kept[count] >= least) count++;
    tokens = tokens.subarray(0, count);
    kept = kept.subarray(0, count);
  }
  return { tokens, logits: kept };
}

/** Indices of the `count` largest values; in descending order when `sorted`, and equal values by index. */
export function largest(values: Float32Array, count: number, sorted = true): Int32Array {
  if (count >= values.length) {
    const all = Int32Array.from(values, (_, i) => i);
    return sorted ? all.sort((a, b) => values[b] - values[a] || a - b) : all;
  }
  // A heap of the best so far, the worst of them on top.
  const heap = new Int32Array(count);
  const worse = (a: number, b: number): boolean => values[a] < values[b] || (values[a] === values[b] && a > b);
  let size = 0;
  for (let i = 0; i < values.length; i++) {
    let at: number;
    if (size < count) {
      at = size++;
      for (let up = (at - 1) >> 1; at > 0 && worse(i, heap[up]); up = (at - 1) >> 1) {
        heap[at] = heap[up];
        at = up;
      }
    } else {
      if (!worse(heap[0], i)) continue;
      at = 0;
      for (let down = 1; down < count; down = 2 * at + 1) {
        if (down + 1 < count && worse(heap[down + 1], heap[down])) down++;
        if (!worse(heap[down], i)) break;
        heap[at] = heap[down];
        at = down;
      }
    }
    heap[at] = i;
  }
  return heap.sort((a, b) => values[b] - values[a] || a - b);
}

/** Softmax. */
export function probabilities(logits: Float64Array): Float64Array {
  let top = -Infinity;
  for (const value of logits) top = Math.max(top, value);
  const result = logits.map((value) => Math.exp(value - top));
  let total = 0;
  for (const value of result) total += value;
  return result.map((value) => value / total);
}

/** ln sum exp of a row of logits. */
export function logSumExp(logits: Float32Array): number {
  let top = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > top) top = logits[i];
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i] - top);
  return top + Math.log(total);
}

/** Index of the largest value, the first of equal ones. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Picks a token with the probabilities of its logits; `uniform` is a random number from [0, 1). */
export function pick(tokens: Int32Array, logits: Float64Array, uniform: number): number {
  const p = probabilities(logits);
  let rest = uniform;
  for (let i = 0; i < p.length; i++) {
    rest -= p[i];
    if (rest < 0) return tokens[i];
  }
  return tokens[tokens.length - 1]; // rounding left a little over
}
