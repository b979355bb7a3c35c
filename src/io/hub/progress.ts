import { hubSettings } from "./settings.js";

const size = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`);

/** Writes a line to stderr: what is going on. */
export function hubNote(text: string): void {
  if (!hubSettings.quiet) process.stderr.write(`${text}\n`);
}

/** Shows on stderr how a file comes in: one line that changes in a terminal, otherwise a line for each file. */
export class DownloadProgress {
  private shown = 0;
  private readonly began = Date.now();
  private first: number | undefined;
  private readonly live = process.stderr.isTTY && !hubSettings.quiet;

  constructor(
    private readonly label: string,
    private readonly total: number,
  ) {
    if (!this.live) hubNote(`fetching ${label}, ${size(total)}`);
  }

  /** So many bytes are there. */
  update(received: number): void {
    this.first ??= received;
    const now = Date.now();
    if (!this.live || now - this.shown < 200) return;
    this.shown = now;
    const speed = (1000 * (received - this.first)) / Math.max(1, now - this.began);
    const left = speed > 0 ? `, ${Math.ceil((this.total - received) / speed)} s left` : "";
    process.stderr.write(`\r\u001b[Kfetching ${this.label}: ${size(received)} of ${size(this.total)} (${Math.floor((100 * received) / Math.max(1, this.total))} %), ${size(speed)}/s${left}`);
  }

  /** Ends the line. */
  done(): void {
    if (this.live && this.shown > 0) process.stderr.write(`\r\u001b[K`);
    if (this.live) hubNote(`fetched ${this.label}, ${size(this.total)}`);
  }

  /** Leaves the line as it is. */
  failed(): void {
    if (this.live && this.shown > 0) process.stderr.write("\n");
  }
}
