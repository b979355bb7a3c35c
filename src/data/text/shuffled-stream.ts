import { checkNumber, checkOptions, GraftError } from "../../base/index.js";
import { Random } from "../random.js";

/** Options of {@link ShuffledStream}. */
export interface ShuffleOptions {
  /** Items held back to choose from. 1 keeps the order. Default 1024. */
  readonly bufferSize?: number;
  /** Default 0. */
  readonly seed?: number;
}

/** The position of a {@link ShuffledStream}, as plain JSON. */
export interface StreamState {
  readonly seed: number;
  readonly bufferSize: number;
  readonly epoch: number;
  /** Items handed out in this epoch. */
  readonly items: number;
}

/**
 * A stream too large for memory in random order: a buffer is filled, and each item handed out is a random one of the buffer, replaced by the next of the
 * source. One `for await` is one epoch (or what is left of it after `loadStateDict`); each has another order.
 *
 * The order depends on (seed, epoch) only. To resume, the source is read again and what was handed out is passed over, so that an exact position needs no copy
 * of the buffer.
 *
 * @example
 * const stream = new data.text.ShuffledStream(() => data.text.examples("big.jsonl"), { bufferSize: 10_000, seed: 1 });
 * for await (const example of stream) { ... }
 */
export class ShuffledStream<T> implements AsyncIterable<T> {
  private readonly bufferSize: number;
  private place: { readonly epoch: number; readonly items: number } = { epoch: 0, items: 0 };
  private resume = false;
  private readonly seed: number;

  constructor(
    private readonly source: (epoch: number) => AsyncIterable<T> | Iterable<T>,
    options: ShuffleOptions = {},
  ) {
    checkOptions("ShuffledStream", options, ["bufferSize", "seed"]);
    this.bufferSize = checkNumber("ShuffledStream", "bufferSize", options.bufferSize ?? 1024, { min: 1, whole: true });
    this.seed = options.seed ?? 0;
    new Random(this.seed); // checks it
  }

  /** The position: an item counts once it was handed out. */
  stateDict(): StreamState {
    return { seed: this.seed, bufferSize: this.bufferSize, ...this.place };
  }

  /** Continues where `stateDict` was taken. Throws `state` when seed or buffer are others, for then the order is another too. */
  loadStateDict(state: StreamState): void {
    for (const key of ["seed", "bufferSize"] as const) {
      if (state[key] !== this[key]) throw new GraftError("state", `ShuffledStream: the saved position has ${key} ${state[key]}, this stream has ${this[key]}. Resume with the options of the saved run.`);
    }
    for (const key of ["epoch", "items"] as const) {
      if (!Number.isSafeInteger(state[key]) || state[key] < 0) throw new GraftError("state", `ShuffledStream: the saved ${key} is ${String(state[key])}. Use what stateDict() gave.`);
    }
    this.place = { epoch: state.epoch, items: state.items };
    this.resume = true;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const { epoch } = this.place;
    const skip = this.resume ? this.place.items : 0;
    this.resume = false;
    this.place = { epoch, items: skip };
    let items = 0;
    for await (const item of this.shuffled(epoch)) {
      if (items++ < skip) continue;
      this.place = { epoch, items };
      yield item;
    }
    if (items < skip) throw new GraftError("state", `ShuffledStream: the saved position is behind ${skip} items, the source has ${items}. Resume with the data of the saved run.`);
    this.place = { epoch: epoch + 1, items: 0 };
  }

  private async *shuffled(epoch: number): AsyncGenerator<T, void, undefined> {
    const random = new Random(this.seed, { purpose: "order", epoch });
    const buffer: T[] = [];
    for await (const item of this.source(epoch)) {
      if (buffer.length < this.bufferSize) {
        buffer.push(item);
        continue;
      }
      const i = random.integer(buffer.length);
      const chosen = buffer[i];
      buffer[i] = item;
      yield chosen;
    }
    while (buffer.length > 0) {
      const i = random.integer(buffer.length);
      const chosen = buffer[i];
      buffer[i] = buffer[buffer.length - 1];
      buffer.pop();
      yield chosen;
    }
  }
}
