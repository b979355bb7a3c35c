import { afterEach, describe, expect, it } from "vitest";
import { Progress, showNumber, showTime, type StepView } from "./progress.js";

const view: StepView = { epoch: 2, epochs: 10, step: 30, inEpoch: 7, perEpoch: 23, values: { loss: 0.12345, accuracy: 0.97 }, samplesPerSecond: 12345.6, left: 65 };
const record = { epoch: 2, step: 46, loss: 0.5, valid_loss: 0.25, lr: 0.001, seconds: 3, samplesPerSecond: 2000 };

function screen(tty: boolean, columns = 200) {
  let text = "";
  let time = 0;
  return { isTTY: tty, columns, write: (part: string) => void (text += part), text: () => text, wait: (ms: number) => (time += ms), now: () => time };
}

describe("progress", () => {
  it("is one line on a terminal, drawn over at most ten times a second", () => {
    const out = screen(true);
    const progress = new Progress("live", out, out.now);
    progress.step(() => view);
    expect(out.text()).toBe("");
    out.wait(150);
    progress.step(() => view);
    progress.step(() => view);
    const line = "epoch 2/10  step 7/23  loss 0.1235  accuracy 0.9700  12,346 samples/s  1:05 left";
    expect(out.text()).toBe(`\r${line}\x1b[K`);
    progress.record(record, 10, true);
    expect(out.text().slice(line.length + 4)).toBe("\r\x1b[Kepoch 2/10  step 46  loss 0.5000  valid_loss 0.2500  2,000 samples/s  0:03  best\n");
    progress.clear();
    expect(out.text().endsWith("best\n")).toBe(true);
  });

  it("fits into a narrow terminal", () => {
    const out = screen(true, 30);
    out.wait(1000);
    const progress = new Progress("live", out, out.now);
    out.wait(1000);
    progress.step(() => view);
    expect(out.text()).toBe("\repoch 2/10  step 7/23  loss 0\x1b[K");
  });

  it("is plain lines elsewhere, without any escape", () => {
    const out = screen(false);
    const progress = new Progress("plain", out, out.now);
    out.wait(9000);
    progress.step(() => view);
    expect(out.text()).toBe("");
    out.wait(2000);
    progress.step(() => ({ ...view, epochs: Infinity, left: undefined }));
    progress.record(record, 10, false);
    progress.line("done");
    progress.clear();
    expect(out.text()).toBe("epoch 2  step 7/23  loss 0.1235  accuracy 0.9700  12,346 samples/s\nepoch 2/10  step 46  loss 0.5000  valid_loss 0.2500  2,000 samples/s  0:03\ndone\n");
    expect(out.text()).not.toContain("\x1b");
    const none = new Progress("none", out, out.now);
    none.line("nothing");
    expect(out.text()).not.toContain("nothing");
  });

  const { TERM } = process.env;
  afterEach(() => void (process.env.TERM = TERM ?? ""));
  it("chooses by option and output", () => {
    process.env.TERM = "xterm";
    expect([true, false, "plain", "live"].map((option) => Progress.modeOf(option as boolean, screen(true)))).toEqual(["live", "none", "plain", "live"]);
    expect(Progress.modeOf(true, screen(false))).toBe("plain");
    process.env.TERM = "dumb";
    expect(Progress.modeOf(true, screen(true))).toBe("plain");
  });

  it("shows numbers and times", () => {
    expect([0, 0.5, 12.3456, 12345.6, 1e-5, NaN, -3].map(showNumber)).toEqual(["0.0000", "0.5000", "12.35", "12,346", "1.00e-5", "NaN", "-3.0000"]);
    expect([5, 65, 3723].map(showTime)).toEqual(["0:05", "1:05", "1:02:03"]);
  });
});
