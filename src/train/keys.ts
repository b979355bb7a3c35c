import { setTimeout } from "node:timers/promises";

/** Where keys come from; `process.stdin` is one. */
export interface KeyInput {
  readonly isTTY?: boolean;
  readonly isRaw?: boolean;
  setRawMode?(on: boolean): unknown;
  on(event: "data", listener: (data: Buffer | string) => void): unknown;
  off(event: "data", listener: (data: Buffer | string) => void): unknown;
  resume(): unknown;
  pause(): unknown;
  readonly readableFlowing?: boolean | null;
}

/** What the keys do, for the user to read. */
export const keysHelp = "keys: p pause or go on, s save a checkpoint now, q save and quit, ? this help";

/** Keys that a terminal in its normal mode turns into signals. */
const signalKeys: Readonly<Record<string, NodeJS.Signals>> = { "\x03": "SIGINT", "\x1c": "SIGQUIT" };
const suspendKey = "\x1a";

/**
 * Listens to single keys while a run trains: only where the input is a terminal, which is in raw mode until `close`, also when the process ends by an error. Ctrl-C and
 * Ctrl-\ stay signals: the terminal is put back first, so that a second one needs nobody to listen.
 */
export class Keys {
  paused = false;
  private saving = false;
  private readonly wasRaw: boolean;
  private readonly wasFlowing: boolean;
  private open = false;
  private readonly onData = (data: Buffer | string): void => {
    for (const key of String(data)) this.press(key);
  };
  private readonly onExit = (): void => this.close();

  constructor(
    private readonly input: KeyInput,
    private readonly say: (text: string) => void,
    private readonly quit: () => void,
    private readonly raise: (signal: NodeJS.Signals) => void = (signal) => void process.kill(process.pid, signal),
  ) {
    this.wasRaw = input.isRaw ?? false;
    this.wasFlowing = input.readableFlowing === true;
    if (!input.isTTY || input.setRawMode === undefined) return;
    this.open = true;
    input.setRawMode(true);
    input.on("data", this.onData);
    input.resume();
    process.once("exit", this.onExit);
  }

  /** Whether keys are listened to. */
  get listening(): boolean {
    return this.open;
  }

  private press(key: string): void {
    const signal = signalKeys[key];
    if (signal !== undefined) {
      this.close();
      this.raise(signal);
    } else if (key === suspendKey) {
      this.input.setRawMode!(this.wasRaw);
      process.once("SIGCONT", () => this.open && this.input.setRawMode!(true));
      this.raise("SIGTSTP");
    } else if (key === "p") {
      this.paused = !this.paused;
      if (this.paused) this.say("pausing after this step; p goes on, s saves, q saves and quits");
      else this.say("going on");
    } else if (key === "s") {
      this.saving = true;
      if (!this.paused) this.say("saving a checkpoint after this step");
    } else if (key === "q") {
      this.quit();
      this.say("saving and quitting after this step");
    } else if (key === "?") this.say(keysHelp);
  }

  /** Whether a checkpoint was asked for since the last call. */
  takeSave(): boolean {
    const wanted = this.saving;
    this.saving = false;
    return wanted;
  }

  /** Waits while paused, and calls `save` when a checkpoint is asked for meanwhile. Gives the seconds that it took. */
  async wait(ended: () => boolean, save: () => Promise<void>): Promise<number> {
    if (!this.paused) return 0;
    const started = performance.now();
    while (this.open && this.paused && !ended()) {
      if (this.takeSave()) await save();
      await setTimeout(50);
    }
    return (performance.now() - started) / 1000;
  }

  /** Puts the terminal back. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    process.off("exit", this.onExit);
    this.input.off("data", this.onData);
    this.input.setRawMode!(this.wasRaw);
    if (!this.wasFlowing) this.input.pause(); // an open input would keep the process alive
  }
}
