import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "../io/index.js";

/** Writes what was measured as one JSON object per line. A log that cannot be written never ends a run: it is said once. */
export class MetricsLog {
  private failed = false;

  constructor(
    private readonly file: string,
    private readonly warn: (text: string) => void,
  ) {}

  /** Begins a new file, or keeps the lines of one up to a step and goes on behind them. */
  async start(resumedStep: number | undefined): Promise<void> {
    await this.attempt(async () => {
      await mkdir(dirname(this.file), { recursive: true });
      await writeFileAtomic(this.file, resumedStep === undefined ? "" : linesUpTo(await readFile(this.file, "utf8").catch(() => ""), resumedStep));
    });
  }

  async write(line: Readonly<Record<string, unknown>>): Promise<void> {
    await this.attempt(() => appendFile(this.file, `${JSON.stringify(line)}\n`));
  }

  private async attempt(action: () => Promise<void>): Promise<void> {
    if (this.failed) return;
    try {
      await action();
    } catch (error) {
      this.failed = true;
      this.warn(`the log ${this.file} cannot be written: ${(error as Error).message}. Training goes on without it.`);
    }
  }
}

/** A killed run may have written lines behind its last checkpoint, the last one incompletely. */
function linesUpTo(text: string, step: number): string {
  const kept = text.split("\n").filter((line) => {
    try {
      return ((JSON.parse(line) as { step?: number }).step ?? Infinity) <= step;
    } catch {
      return false;
    }
  });
  return kept.map((line) => `${line}\n`).join("");
}
