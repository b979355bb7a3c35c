import { setTimeout } from "node:timers/promises";
import { inForeground } from "./foreground.js";

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
const signalKeys: Readonly<Record<string, NodeJS.Signals>> = { "\x03": "SIGINT", "\x1c": "SIGQUIT", "\x1a": "SIGTSTP" };

/** What {@link Keys} are connected with. */
export interface KeysOptions {
  readonly input: KeyInput;
  /** Tells the user. */
  readonly say: (text: string) => void;
  /** Ends the run after the present step. */
  readonly quit: () => void;
  /** Sends a signal to this process. */
  readonly raise?: (signal: NodeJS.Signals) => void;
  /** Whether the terminal is this process's to use. */
  readonly foreground?: () => boolean;
}

/**
 * Listens to single keys while a run trains: only where the input is a terminal and this process is in its foreground. The terminal is in raw mode until `close`, also when the
 * process ends by an error. Ctrl-C, Ctrl-\ and Ctrl-Z stay signals: the terminal is put back first.
 */
export class Keys {
  paused = false;
  private saving = false;
  private open = false;
  private wasRaw = false;
  private wasFlowing = false;
  private readonly raise: (signal: NodeJS.Signals) => void;
  private readonly foreground: () => boolean;
  private readonly onData = (data: Buffer | string): void => {
    for (const key of String(data)) this.press(key);
  };
  private readonly onExit = (): void => this.close();
  private readonly onContinue = (): void => this.start();

  constructor(private readonly options: KeysOptions) {
    const { raise = (signal) => void process.kill(process.pid, signal), foreground = options.input === process.stdin ? inForeground : () => true } = options;
    [this.raise, this.foreground] = [raise, foreground];
    this.start();
  }

  private start(): void {
    const { input } = this.options;
    if (!input.isTTY || input.setRawMode === undefined || !this.foreground()) return;
    this.wasRaw = input.isRaw ?? false;
    this.wasFlowing = input.readableFlowing === true;
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
    const { say, quit } = this.options;
    const signal = signalKeys[key];
    if (signal !== undefined) {
      this.close();
      if (signal === "SIGTSTP") process.once("SIGCONT", this.onContinue); // perhaps in the background
      this.raise(signal);
    } else if (key === "p") {
      this.paused = !this.paused;
      if (this.paused) say("pausing after this step; p goes on, s saves, q saves and quits");
      else say("going on");
    } else if (key === "s") {
      this.saving = true;
      if (!this.paused) say("saving a checkpoint after this step");
    } else if (key === "q") {
      quit();
      say("saving and quitting after this step");
    } else if (key === "?") say(keysHelp);
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
    process.off("SIGCONT", this.onContinue);
    if (!this.open) return;
    const { input } = this.options;
    this.open = false;
    process.off("exit", this.onExit);
    input.off("data", this.onData);
    input.setRawMode!(this.wasRaw);
    if (!this.wasFlowing) input.pause(); // an open input would keep the process alive
  }
}
