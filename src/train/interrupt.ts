/** The exit codes that shells expect: 128 + the signal's number. */
const signals = [["SIGINT", 130], ["SIGTERM", 143]] as const;

/** Listens for Ctrl-C (SIGINT), SIGTERM and an AbortSignal. The first asks to stop; a second signal of the system leaves at once. */
export class Interrupt {
  /** Whether somebody asked to stop. */
  aborted = false;
  private readonly handlers = signals.map(([name, code]) => {
    const handle = (): void => {
      if (this.signalled) process.exit(code);
      this.aborted = this.signalled = true;
      this.notify();
    };
    return [name, handle] as const;
  });
  private signalled = false;
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
    if (system) for (const [name, handle] of this.handlers) process.on(name, handle);
  }
  private readonly signal: AbortSignal | undefined;

  /** Stops listening. */
  close(): void {
    this.signal?.removeEventListener("abort", this.onAbort);
    for (const [name, handle] of this.handlers) process.off(name, handle);
  }
}
