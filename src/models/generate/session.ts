import { fromData, noGrad, type Tensor } from "../../graph/index.js";
import { F } from "../../ops/index.js";
import { compile, realize } from "../../runtime/index.js";
import type { KVCache } from "../../nn/index.js";
import type { CausalModel } from "../text/types.js";

const i32 = (values: Int32Array, shape: readonly number[]): Tensor => fromData(values, shape, "i32");

/** Prompts are processed in lengths of a few sizes, so that prompts of similar length share a plan. */
const promptBucket = (T: number): number => (T <= 1 ? 1 : T <= 128 ? 16 * Math.ceil(T / 16) : T <= 512 ? 64 * Math.ceil(T / 64) : 256 * Math.ceil(T / 256));

/** Room of a cache, in steps that keep the number of plans small. */
const cacheBucket = (tokens: number): number => (tokens <= 256 ? 64 * Math.ceil(tokens / 64) : tokens <= 1024 ? 256 * Math.ceil(tokens / 256) : 1024 * Math.ceil(tokens / 1024));

/** Some sequences that a model continues together: their cache, and one compiled step for all tokens. */
export class Session {
  private readonly cache: KVCache;
  private mask: Uint8Array;
  private readonly positions: Int32Array;
  private run: (...inputs: Tensor[]) => Promise<Tensor>;
  /** Everything that was fed, kept for models whose early keys must be computed again behind some length. */
  private readonly history: { tokens: number[]; real: number[] }[];

  /** `expected`: tokens that each sequence will probably have. */
  constructor(
    private readonly model: CausalModel,
    readonly batch: number,
    expected: number,
  ) {
    this.cache = model.newCache({ batch, capacity: cacheBucket(expected) });
    this.mask = new Uint8Array(batch * this.cache.capacity);
    this.positions = new Int32Array(batch);
    this.history = Array.from({ length: batch }, () => ({ tokens: [], real: [] }));
    this.run = this.compiled();
  }

  /** Number of tokens of each sequence, padding counted. */
  get length(): number {
    return this.cache.length;
  }

  private compiled(): (...inputs: Tensor[]) => Promise<Tensor> {
    return compile((ids, positionIds, mask, slot, last, ...order) =>
      noGrad(() => {
        this.cache.slot = slot;
        if (order.length > 0) this.cache.reorder(order[0]);
        const { logits } = this.model.forward(ids, { positionIds, attentionMask: mask, cache: this.cache, logitsToKeep: last });
        return F.reshape(logits, [this.batch, logits.shape[2]]);
      }),
    );
  }

  private async reserve(tokens: number): Promise<void> {
    if (tokens <= this.cache.capacity) return;
    const before = this.cache.capacity;
    this.cache.reserve(cacheBucket(Math.max(tokens, Math.ceil(before * 1.5))));
    await realize(...this.cache.tensors);
    const { batch } = this;
    const mask = new Uint8Array(batch * this.cache.capacity);
    for (let b = 0; b < batch; b++) mask.set(this.mask.subarray(b * before, (b + 1) * before), b * this.cache.capacity);
    this.mask = mask;
    this.run = this.compiled(); // the old one would keep the old memory
  }

  /**
   * Adds tokens, as many to each sequence ([batch][T]; `real` is 0 at padding), and returns the logits [batch][V] behind the last ones. `order` first puts the
   * sequences in another order: sequence b goes on from what was sequence order[b].
   */
  async feed(tokens: readonly ArrayLike<number>[], real?: readonly ArrayLike<number>[], order?: Int32Array): Promise<Float32Array[]> {
    const limit = this.model.cacheLimit;
    if (limit === undefined) return this.append(tokens, real, order);
    if (order !== undefined) this.history.splice(0, this.batch, ...Array.from(order, (from) => ({ tokens: [...this.history[from].tokens], real: [...this.history[from].real] })));
    this.history.forEach((row, b) => {
      row.tokens.push(...Array.from(tokens[b]));
      row.real.push(...(real === undefined ? Array.from(tokens[b], () => 1) : Array.from(real[b])));
    });
    if (this.length > limit || this.length + tokens[0].length <= limit || this.length === 0) return this.append(tokens, real, order);
    this.cache.length = 0;
    this.mask.fill(0);
    this.positions.fill(0);
    return this.append(this.history.map((row) => row.tokens), this.history.map((row) => row.real), undefined);
  }

  private async append(tokens: readonly ArrayLike<number>[], real: readonly ArrayLike<number>[] | undefined, order: Int32Array | undefined): Promise<Float32Array[]> {
    const { batch, cache } = this;
    const T = tokens[0].length;
    const padded = promptBucket(T);
    const start = cache.length;
    await this.reserve(start + padded);
    const { capacity } = cache;
    if (order !== undefined) this.reorderRows(order);
    const ids = new Int32Array(batch * padded);
    const places = new Int32Array(batch * padded);
    for (let b = 0; b < batch; b++) {
      for (let t = 0; t < padded; t++) {
        const at = b * padded + t;
        if (t < T) {
          const counts = real === undefined || real[b][t] !== 0;
          ids[at] = tokens[b][t];
          this.mask[b * capacity + start + t] = counts ? 1 : 0;
          places[at] = this.positions[b];
          if (counts) this.positions[b]++;
        } else {
          ids[at] = ids[at - 1]; // filled up to the bucket: masked, and overwritten by the next tokens
          places[at] = places[at - 1];
        }
      }
    }
    const inputs = [
      i32(ids, [batch, padded]),
      i32(places, [batch, padded]),
      fromData(this.mask.slice(), [batch, capacity], "bool"),
      i32(Int32Array.of(start), [1]),
      i32(Int32Array.of(T - 1), [1]),
      ...(order === undefined ? [] : [i32(order, [batch])]),
    ];
    const logits = await this.run(...inputs);
    cache.length = start + T;
    const values = (await logits.data()) as Float32Array;
    const V = values.length / batch;
    return Array.from({ length: batch }, (_, b) => values.slice(b * V, (b + 1) * V));
  }

  private reorderRows(order: Int32Array): void {
    const { capacity } = this.cache;
    const [mask, positions] = [this.mask.slice(), this.positions.slice()];
    order.forEach((from, b) => {
      this.mask.set(mask.subarray(from * capacity, (from + 1) * capacity), b * capacity);
      this.positions[b] = positions[from];
    });
  }
}
