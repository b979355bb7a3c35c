import { appendFile, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeEvent, frame, readEvent, unframe } from "./event-record.js";
import { isOfTheEnd, type LogLine } from "./log-lines.js";
import type { LogFile } from "./log.js";

const ours = /^events\.out\.tfevents\.\d+\.graft$/;

/** The curve that a key of a log line belongs to, named as the Hugging Face Trainer does: train/loss, eval/loss, test/accuracy. */
const tagOf = (name: string): string => {
  const [, part, rest] = /^(eval|test)_(.+)$/.exec(name) ?? [];
  return part === undefined ? `train/${name}` : `${part}/${rest}`;
};
const nameOf = (tag: string): string => tag.replace(/^train\//, "").replace(/^(eval|test)\//, "$1_");

const now = (): number => Date.now() / 1000;

/** A file of scalars that TensorBoard shows (`tensorboard --logdir FOLDER`), one per run. */
export class EventFile implements LogFile {
  file: string;

  constructor(private readonly dir: string) {
    this.file = join(dir, `events.out.tfevents.${Math.floor(now())}.graft`);
  }

  async start(resumedStep: number | undefined): Promise<void> {
    await mkdir(this.dir, { recursive: true });
    const files = (await readdir(this.dir)).filter((name) => ours.test(name)).sort();
    if (resumedStep !== undefined && files.length > 0) {
      const file = join(this.dir, files.at(-1)!);
      const end = endOf(await readFile(file), resumedStep);
      if (end > 0) {
        await truncate(file, end); // in place: a TensorBoard that reads the file keeps it
        this.file = file;
        return;
      }
    }
    for (const name of files) await rm(join(this.dir, name)); // of a run that is started again
    await writeFile(this.file, frame(encodeEvent({ wallTime: now(), step: 0, fileVersion: "brain.Event:2" })));
  }

  async write(line: LogLine): Promise<void> {
    const scalars = Object.entries(line).flatMap(([name, value]) => (name === "step" ? [] : [[tagOf(name), value] as const]));
    await appendFile(this.file, frame(encodeEvent({ wallTime: now(), step: line.step, scalars })));
  }
}

/** Where the events of the steps up to `step` end. What a killed run wrote behind its last checkpoint follows, the last event incompletely. */
function endOf(file: Buffer, step: number): number {
  let offset = 0;
  for (let record = unframe(file, 0); record !== undefined; record = unframe(file, offset)) {
    const event = readEvent(record.bytes);
    if (event.step > step || event.tags.some((tag) => isOfTheEnd(nameOf(tag)))) break;
    offset = record.next;
  }
  return offset;
}
