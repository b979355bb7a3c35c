import type { HistoryRecord } from "./types.js";

/** Where a progress display writes; `process.stdout` is one. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What is shown of a step. */
export interface StepView {
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  /** Step in this epoch, from 1, and steps per epoch. */
  readonly inEpoch: number;
  readonly perEpoch: number;
  readonly values: { readonly [name: string]: number };
  readonly samplesPerSecond: number;
  /** Seconds that are left; undefined when nobody knows. */
  readonly left: number | undefined;
}

const redrawEvery = 100; // milliseconds
const plainEvery = 10_000;
const hidden: ReadonlySet<string> = new Set(["epoch", "step", "lr", "seconds", "samplesPerSecond"]);

/** 12.345678 -> "12.35"; shares and losses get four digits. */
export function showNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size >= 10) return value.toFixed(2);
  return size === 0 || size >= 0.001 ? value.toFixed(4) : value.toExponential(2);
}

/** Seconds as 0:07, 12:30 or 1:02:03. */
export function showTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const pairs = (values: { readonly [name: string]: number }): string[] => Object.entries(values).map(([name, value]) => `${name} ${showNumber(value)}`);
const ofEpochs = (epoch: number, epochs: number): string => (Number.isFinite(epochs) ? `epoch ${epoch}/${epochs}` : `epoch ${epoch}`);

/** Shows how a run goes: a line that is drawn again and again on a terminal, plain lines elsewhere. There are no colours. */
export class Progress {
  private drawn = false;
  private last = 0;

  constructor(
    private readonly mode: "live" | "plain" | "none",
    private readonly output: Output = process.stdout,
    private readonly now: () => number = Date.now,
    private readonly unit = "samples",
  ) {
    this.last = now();
  }

  /** The mode that `fit`'s option asks for on this output. */
  static modeOf(option: boolean | "plain" | "live", output: Output = process.stdout): "live" | "plain" | "none" {
    if (option === false) return "none";
    if (option !== true) return option;
    return output.isTTY && process.env.TERM !== "dumb" ? "live" : "plain";
  }

  /** After each step; draws at most ten times a second, or a plain line every ten seconds. */
  step(make: () => StepView): void {
    if (this.mode === "none" || this.now() - this.last < (this.mode === "live" ? redrawEvery : plainEvery)) return;
    this.last = this.now();
    const { epoch, epochs, inEpoch, perEpoch, values, samplesPerSecond, left } = make();
    const parts = [ofEpochs(epoch, epochs), `step ${inEpoch}/${perEpoch}`, ...pairs(values), `${Math.round(samplesPerSecond).toLocaleString("en-US")} ${this.unit}/s`];
    if (left !== undefined) parts.push(`${showTime(left)} left`);
    if (this.mode === "plain") this.output.write(`${parts.join("  ")}\n`);
    else {
      const width = (this.output.columns ?? 80) - 1; // a full line would wrap, and could not be drawn over
      this.output.write(`\r${parts.join("  ").slice(0, width)}\x1b[K`);
      this.drawn = true;
    }
  }

  /** A line of the history, which stays. */
  record(record: HistoryRecord, epochs: number, best: boolean): void {
    const values = Object.fromEntries(Object.entries(record).filter(([name]) => !hidden.has(name)));
    const rate = `${Math.round(record.samplesPerSecond).toLocaleString("en-US")} ${this.unit}/s`;
    this.line([ofEpochs(record.epoch, epochs), `step ${record.step}`, ...pairs(values), rate, showTime(record.seconds), ...(best ? ["best"] : [])].join("  "));
  }

  /** Any other line. */
  line(text: string): void {
    if (this.mode === "none") return;
    this.clear();
    this.output.write(`${text}\n`);
    this.last = this.now();
  }

  /** Takes the live line away. */
  clear(): void {
    if (this.drawn) this.output.write("\r\x1b[K");
    this.drawn = false;
  }
}
