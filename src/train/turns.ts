/** Milliseconds after which signals, keys and timers get a turn. */
const longest = 50;

/** Gives the event loop a turn now and then: steps so small that they run on this thread would otherwise never let a Ctrl-C through. */
export class Turns {
  private last = performance.now();

  /** Something to await where it is time. */
  next(): Promise<void> | undefined {
    if (performance.now() - this.last < longest) return undefined;
    return new Promise((resolve) =>
      setImmediate(() => {
        this.last = performance.now();
        resolve();
      }),
    );
  }
}
