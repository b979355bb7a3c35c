import { GraftError } from "../base/index.js";
import type { LoaderState } from "../data/index.js";
import type { Batch, BatchSource } from "./types.js";

/** The first batches of a loader, read once and given again in every epoch: the same data, augmentation included. */
export class FirstBatches implements BatchSource {
  private batches: readonly Batch[] | undefined;
  private place = { epoch: 0, batch: 0 };

  constructor(
    private readonly source: BatchSource,
    count: number,
  ) {
    this.length = Math.min(count, source.length);
  }
  readonly length: number;

  private async read(): Promise<Batch[]> {
    const before = this.source.stateDict();
    const batches: Batch[] = [];
    for await (const batch of this.source) if (batches.push(batch) === this.length) break;
    this.source.loadStateDict(before);
    return batches;
  }

  get epoch(): number {
    return this.place.epoch;
  }
  setEpoch(epoch: number): void {
    if (epoch !== this.place.epoch) this.place = { epoch, batch: 0 };
  }
  stateDict(): LoaderState {
    return { ...this.source.stateDict(), ...this.place };
  }
  loadStateDict(state: LoaderState): void {
    const own = this.source.stateDict();
    if (state.samples !== own.samples || state.batchSize !== own.batchSize || state.batch > this.length) {
      throw new GraftError("state", `train.fit: the saved position (batch ${state.batch}, batchSize ${state.batchSize}, ${state.samples} samples) is none in the first ${this.length} batches. Resume with the data and options of the saved run.`);
    }
    this.place = { epoch: state.epoch, batch: state.batch };
  }
  /** The samples' numbers in the data set, where the loader knows them. */
  batchIndices(_: number, batch: number): readonly number[] {
    return this.source.batchIndices?.(this.source.epoch, batch) ?? [];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    const batches = (this.batches ??= await this.read());
    const { epoch, batch } = this.place;
    for (let i = batch; i < batches.length; i++) {
      this.place = { epoch, batch: i + 1 };
      yield batches[i];
    }
    this.place = { epoch: epoch + 1, batch: 0 };
  }
}
