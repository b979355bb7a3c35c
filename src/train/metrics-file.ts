import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "../io/index.js";
import { isOfTheEnd, type LogLine } from "./log-lines.js";
import type { LogFile } from "./log.js";

/** `metrics.jsonl`: one JSON object per line. */
export class MetricsFile implements LogFile {
  constructor(readonly file: string) {}

  async start(resumedStep: number | undefined): Promise<void> {
    await mkdir(dirname(this.file), { recursive: true });
    await writeFileAtomic(this.file, resumedStep === undefined ? "" : linesUpTo(await readFile(this.file, "utf8").catch(() => ""), resumedStep));
  }

  async write(line: LogLine): Promise<void> {
    await appendFile(this.file, `${JSON.stringify(line)}\n`);
  }
}

/** A killed run may have written lines behind its last checkpoint, the last one incompletely. */
function linesUpTo(text: string, step: number): string {
  const kept = text.split("\n").filter((line) => {
    try {
      const read = JSON.parse(line) as { step?: number };
      return (read.step ?? Infinity) <= step && !Object.keys(read).some(isOfTheEnd);
    } catch {
      return false;
    }
  });
  return kept.map((line) => `${line}\n`).join("");
}
