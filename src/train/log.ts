import { EventFile } from "./event-file.js";
import { trainLine, type LogLine, type Moment } from "./log-lines.js";
import { Meter, type MeterState } from "./meter.js";
import { MetricsFile } from "./metrics-file.js";

/** A file that log lines go to. */
export interface LogFile {
  readonly file: string;
  /** Begins a new file, or keeps what one says of the steps up to `resumedStep` and goes on behind it. */
  start(resumedStep: number | undefined): Promise<void>;
  write(line: LogLine): Promise<void>;
}

/** Where a run is logged. */
export interface LogPlaces {
  /** A file of one JSON object per line. */
  readonly metrics?: string;
  /** A folder for TensorBoard. */
  readonly tensorboard?: string;
}

/** What a log saves: means since its last line, and of the whole run. */
export interface LogState {
  readonly line: MeterState;
  readonly total: MeterState;
}

/** Writes what was measured into all log files of a run. A file that cannot be written never ends a run: it is said once. */
export class RunLog {
  private readonly files: readonly LogFile[];
  private readonly failed = new Set<LogFile>();
  private readonly line = new Meter();
  private readonly total = new Meter();
  /** Of the last step. */
  private last: { readonly lr: number; readonly gradNorm?: number } | undefined;

  constructor(
    { metrics, tensorboard }: LogPlaces,
    private readonly warn: (text: string) => void,
  ) {
    this.files = [...(metrics === undefined ? [] : [new MetricsFile(metrics)]), ...(tensorboard === undefined ? [] : [new EventFile(tensorboard)])];
  }

  /** Begins, or goes on behind the lines up to a step: those after it belong to steps that a killed run did and that will be done again. */
  start(resumedStep: number | undefined): Promise<void> {
    return this.each((file) => file.start(resumedStep));
  }
  write(line: LogLine): Promise<void> {
    return this.each((file) => file.write(line));
  }

  /** Takes the numbers of a step. */
  add(values: { readonly loss: number; readonly [name: string]: number }, samples: number, last: { readonly lr: number; readonly gradNorm?: number }): void {
    this.line.add(values, samples);
    this.total.add({ loss: values.loss }, samples);
    this.last = last;
  }

  /** A line of the steps since the last one, where there were some; `derive` adds numbers to their means. */
  async steps(moment: Moment, derive?: (means: { readonly loss: number; readonly [name: string]: number }) => { readonly [name: string]: number }): Promise<void> {
    if (this.line.samples === 0) return;
    const means = this.line.means() as { readonly loss: number };
    this.line.loadStateDict({ samples: 0, sums: {} });
    await this.write(trainLine({ ...means, ...derive?.(means) }, this.last, moment));
  }

  /** Mean loss of the whole run. */
  get meanLoss(): number {
    return this.total.means().loss;
  }

  stateDict(): LogState {
    return { line: this.line.stateDict(), total: this.total.stateDict() };
  }
  loadStateDict({ line, total }: LogState): void {
    this.line.loadStateDict(line);
    this.total.loadStateDict(total);
  }

  private async each(action: (file: LogFile) => Promise<void>): Promise<void> {
    for (const file of this.files) {
      if (this.failed.has(file)) continue;
      try {
        await action(file);
      } catch (error) {
        this.failed.add(file);
        this.warn(`the log ${file.file} cannot be written: ${(error as Error).message}. Training goes on without it.`);
      }
    }
  }
}
