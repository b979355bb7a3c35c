/** The sums of a meter, as plain JSON. */
export interface MeterState {
  readonly samples: number;
  readonly sums: Readonly<Record<string, number>>;
}

/** Means of numbers over samples. */
export class Meter {
  samples = 0;
  private sums: Record<string, number> = {};

  /** Adds means over `samples` samples. */
  add(values: Readonly<Record<string, number>>, samples: number): void {
    this.samples += samples;
    for (const [name, value] of Object.entries(values)) this.sums[name] = (this.sums[name] ?? 0) + value * samples;
  }

  /** The mean of each number. */
  means(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.sums).map(([name, sum]) => [name, sum / this.samples]));
  }

  stateDict(): MeterState {
    return { samples: this.samples, sums: { ...this.sums } };
  }
  loadStateDict({ samples, sums }: MeterState): void {
    this.samples = samples;
    this.sums = { ...sums };
  }
}
