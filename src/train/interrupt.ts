const signals = ["SIGINT", "SIGTERM"] as const;

/** Listens for Ctrl-C (SIGINT), SIGTERM and an AbortSignal. The first asks to stop; a second signal of the system leaves at once. */
export class Interrupt {
  /** Whether somebody asked to stop. */
  aborted = false;
  private readonly onSignal = (signal: (typeof signals)[number]): void => {
    if (this.aborted) process.exit(signal === "SIGINT" ? 130 : 143); // 128 + the signal's number
    this.aborted = true;
    this.notify();
  };
  private readonly onAbort = (): void => {
    this.aborted = true;
  };

  constructor(
    private readonly notify: () => void,
    { signal, system }: { readonly signal: AbortSignal | undefined; readonly system: boolean },
  ) {
    this.signal = signal;
    if (signal?.aborted) this.aborted = true;
    signal?.addEventListener("abort", this.onAbort, { once: true });
    if (system) for (const name of signals) process.on(name, this.onSignal);
  }
  private readonly signal: AbortSignal | undefined;

  /** Stops listening. */
  close(): void {
    this.signal?.removeEventListener("abort", this.onAbort);
    for (const name of signals) process.off(name, this.onSignal);
  }
}
