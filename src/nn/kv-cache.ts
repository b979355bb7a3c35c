import { checkOptions, GraftError } from "../base/index.js";
import { allocate, fromData, showShape, sizeOf, type DType, type Tensor } from "../graph/index.js";
import { assign, F, iota } from "../ops/index.js";
import { checkSize } from "./fresh.js";

/** Options of {@link KVCache}. */
export interface KVCacheOptions {
  /** Number of attention layers. */
  readonly layers: number;
  /** Number of sequences. */
  readonly batch: number;
  /** Key and value heads. */
  readonly heads: number;
  /** Size of one head. */
  readonly headDim: number;
  /** Room for this many tokens at first; it grows by `reserve`. Default: 64. */
  readonly capacity?: number;
  /** Default: f32. bf16 halves the memory. */
  readonly dtype?: DType;
}

/**
 * Keys and values of the tokens seen so far, so that the next token costs one forward pass of a single position. The memory [B, H, capacity, D] per
 * layer keeps its size while tokens are added, so that every step has the same shapes and the same plan.
 * @example
 * const cache = model.newCache({ batch: 1 });
 * model.forward(prompt, { cache });           // writes the prompt's keys
 * model.forward(next, { cache }).logits;      // next [1, 1] attends to all of it
 */
export class KVCache {
  /** Keys and values by layer, each [B, H, capacity, D]. */
  keys: Tensor[];
  values: Tensor[];
  /** Where the next tokens go, as an i32 tensor of one element: it changes without a new plan. */
  slot: Tensor;
  private written = 0;
  private room: number;

  constructor(private readonly options: KVCacheOptions) {
    checkOptions("KVCache", options, ["layers", "batch", "heads", "headDim", "capacity", "dtype"]);
    for (const name of ["layers", "batch", "heads", "headDim"] as const) checkSize("KVCache", name, options[name]);
    this.room = checkSize("KVCache", "capacity", options.capacity ?? 64);
    [this.keys, this.values] = [this.empty(), this.empty()];
    this.slot = index(0);
  }

  private empty(): Tensor[] {
    const { layers, batch, heads, headDim, dtype = "f32" } = this.options;
    const shape = [batch, heads, this.room, headDim];
    return Array.from({ length: layers }, () => fromData(allocate(dtype, sizeOf(shape)), shape, dtype));
  }

  /** Number of tokens that there is room for. */
  get capacity(): number {
    return this.room;
  }
  /** Number of tokens written. */
  get length(): number {
    return this.written;
  }
  /** Says how many tokens are valid; those behind are overwritten by the next ones. Throws `argument` beyond the capacity. */
  set length(length: number) {
    if (!Number.isInteger(length) || length < 0 || length > this.room) throw new GraftError("argument", `KVCache: length ${length} is outside of 0 to the capacity ${this.room}. Call reserve first.`);
    this.written = length;
    this.slot = index(length);
  }
  /** All memory of the cache. */
  get tensors(): Tensor[] {
    return [...this.keys, ...this.values];
  }

  /** Makes room for `tokens` tokens in all; what was written stays. The new memory is recorded, not computed. */
  reserve(tokens: number): void {
    if (tokens <= this.room) return;
    const extra = tokens - this.room;
    this.room = tokens;
    if (this.written === 0) [this.keys, this.values] = [this.empty(), this.empty()];
    else [this.keys, this.values] = [this.keys, this.values].map((list) => list.map((x) => F.pad(x, [0, 0, 0, extra])));
  }

  /**
   * Writes the keys and values [B, H, T, D] of new tokens of one layer and returns those of all tokens, [B, H, capacity, D]; what lies behind the
   * new tokens must be masked. `advance` moves on when all layers have written.
   */
  update(layer: number, k: Tensor, v: Tensor): [keys: Tensor, values: Tensor] {
    const { batch, heads, headDim } = this.options;
    const T = k.shape[2];
    if (k.shape[0] !== batch || k.shape[1] !== heads || k.shape[3] !== headDim) throw new GraftError("shape", `KVCache: keys are ${showShape(k.shape)}, the cache holds [${batch}, ${heads}, T, ${headDim}]. Make one for this model and batch: model.newCache({ batch }).`);
    if (this.written + T > this.room) throw new GraftError("argument", `KVCache: there is no room for ${T} more tokens: ${this.written} of ${this.room} are used. Call cache.reserve(${this.written + T}).`);
    for (const [memory, fresh] of [[this.keys[layer], k], [this.values[layer], v]]) assign(memory, this.placed(memory, fresh, T));
    return [this.keys[layer], this.values[layer]];
  }

  private placed(old: Tensor, fresh: Tensor, T: number): Tensor {
    const from = F.sub(iota([this.room], 0), this.slot); // [capacity]: which of the new tokens belongs here
    const here = T === 1 ? F.eq(from, 0) : F.logicalAnd(F.ge(from, 0), F.lt(from, T));
    const spread = T === 1 ? fresh : F.indexSelect(fresh, 2, F.clamp(from, { min: 0, max: T - 1 }));
    return F.where(F.reshape(here, [1, 1, this.room, 1]), F.cast(spread, old.dtype), old);
  }

  /** Counts `tokens` more as written. */
  advance(tokens: number): void {
    this.length = this.written + tokens;
  }

  /** Puts the sequences in another order (`order` [B] of i32; one may be taken several times), as beam search needs. */
  reorder(order: Tensor): void {
    for (const memory of this.tensors) assign(memory, F.indexSelect(memory, 0, order));
  }
}

const index = (value: number): Tensor => fromData(Int32Array.of(value), [1], "i32");
