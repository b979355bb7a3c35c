import { EventEmitter } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { listCheckpoints } from "../io/index.js";
import { Keys, keysHelp } from "./keys.js";
import { bitsOf, smallRun } from "./testing/small-run.js";

/** An input as a terminal gives it. */
class FakeTerminal extends EventEmitter {
  isRaw = false;
  flowing = false;
  readonly modes: boolean[] = [];
  constructor(readonly isTTY: boolean) {
    super();
  }
  setRawMode(on: boolean): void {
    this.isRaw = on;
    this.modes.push(on);
  }
  resume(): void {
    this.flowing = true;
  }
  pause(): void {
    this.flowing = false;
  }
  press(keys: string): void {
    this.emit("data", Buffer.from(keys));
  }
}

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-keys-"))));
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(dir, { recursive: true, force: true });
});

const quiet = { say: () => undefined, quit: () => undefined, foreground: () => true } as const;

describe("keys", () => {
  it("are listened to on a terminal only, which is put back", () => {
    const piped = new FakeTerminal(false);
    expect(new Keys({ input: piped, ...quiet }).listening).toBe(false);
    expect([piped.modes, piped.listenerCount("data"), piped.flowing]).toEqual([[], 0, false]);
    const terminal = new FakeTerminal(true);
    const exits = process.listenerCount("exit");
    const keys = new Keys({ input: terminal, ...quiet });
    expect([terminal.modes, terminal.flowing, process.listenerCount("exit")]).toEqual([[true], true, exits + 1]);
    keys.close();
    keys.close();
    expect([terminal.modes, terminal.flowing, terminal.listenerCount("data"), process.listenerCount("exit")]).toEqual([[true, false], false, 0, exits]);
  });

  it("say what they do; Ctrl-C, Ctrl-\\ and Ctrl-Z stay signals", () => {
    const [said, raised]: [string[], string[]] = [[], []];
    const terminal = new FakeTerminal(true);
    const quit = vi.fn();
    let foreground = true;
    const keys = new Keys({ input: terminal, say: (text) => said.push(text), quit, raise: (signal) => raised.push(signal), foreground: () => foreground });
    terminal.press("?x");
    terminal.press("s");
    expect([keys.takeSave(), keys.takeSave()]).toEqual([true, false]);
    terminal.press("pp");
    terminal.press("q");
    expect(said[0]).toBe(keysHelp);
    expect(said.slice(1).map((text) => text.split(" ")[0])).toEqual(["saving", "pausing", "going", "saving"]);
    expect(quit).toHaveBeenCalledOnce();
    terminal.press("\x1a");
    expect(terminal.isRaw).toBe(false);
    process.emit("SIGCONT");
    expect(terminal.isRaw).toBe(true);
    terminal.press("\x1a");
    foreground = false;
    process.emit("SIGCONT"); // Ctrl-Z and bg: the terminal is somebody else's
    expect([terminal.isRaw, keys.listening, terminal.flowing]).toEqual([false, false, false]);
    expect(new Keys({ input: terminal, ...quiet, foreground: () => false }).listening).toBe(false);
    terminal.press("?");
    expect(said.length).toBe(5);
    const again = new Keys({ input: terminal, ...quiet, raise: (signal) => raised.push(signal) });
    terminal.press("\x03");
    expect(again.listening).toBe(false);
    expect([raised, terminal.isRaw]).toEqual([["SIGTSTP", "SIGTSTP", "SIGINT"], false]);
  });

  it("pause, go on, save and quit a run, and change nothing in it", async () => {
    const whole = await bitsOf((await smallRun()).model);
    const keys = new FakeTerminal(true);
    const checkpoint = { dir, every: 1000, keep: 9, best: false };
    let text = "";
    vi.spyOn(process.stdout, "write").mockImplementation((part) => ((text += String(part)), true));
    const steps: number[] = [];
    const onBatchEnd = ({ step }: { readonly step: number }): void => {
      steps.push(step);
      if (step === 3) {
        keys.press("p");
        setTimeout(() => keys.press("s"), 60); // while it waits
      }
      if (step === 7) keys.press("s");
      if (step === 13) keys.press("q");
    };
    const { result } = await smallRun({ checkpoint, keys, progress: "plain", callbacks: { onBatchEnd, onSave: ({ step }) => void (step === 3 && setTimeout(() => keys.press("p"), 60)) } });
    expect(steps).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
    expect(result).toMatchObject({ stopped: "interrupted", steps: 13, checkpoint: join(dir, "checkpoint-13") });
    expect(await listCheckpoints(dir)).toEqual([3, 7, 13]);
    expect(text).toMatch(/^keys: p pause[^]*pausing after this step[^]*saved to .*checkpoint-3\n[^]*going on[^]*interrupted after step 13/);
    expect(keys.isRaw).toBe(false);
    const resumed = await smallRun({ checkpoint, resume: true });
    expect(await bitsOf(resumed.model)).toBe(whole);
  });

  it("leave the terminal in order after an error, and end a pause when the run is interrupted", async () => {
    const keys = new FakeTerminal(true);
    await expect(smallRun({ keys, callbacks: { onBatchEnd: () => Promise.reject(new Error("broken")) } })).rejects.toThrow("broken");
    expect([keys.isRaw, keys.listenerCount("data")]).toEqual([false, 0]);
    const abort = new AbortController();
    const pressP = ({ step }: { readonly step: number }): void => {
      if (step !== 2) return;
      keys.press("p");
      setTimeout(() => abort.abort(), 60);
    };
    expect((await smallRun({ keys, signal: abort.signal, callbacks: { onBatchEnd: pressP } })).result).toMatchObject({ stopped: "interrupted", steps: 2 });
  });

  it("without a folder say that nothing can be saved", async () => {
    const keys = new FakeTerminal(true);
    let text = "";
    vi.spyOn(process.stdout, "write").mockImplementation((part) => ((text += String(part)), true));
    await smallRun({ keys, epochs: 1, progress: "plain", callbacks: { onBatchEnd: ({ step }) => void (step === 2 && keys.press("s")) } });
    expect(text).toMatch(/there is no checkpoint folder, so nothing can be saved/);
  });
});
