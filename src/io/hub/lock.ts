import { mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isRunning } from "../atomic.js";

/** What this process is doing now, by lock. */
const own = new Map<string, Promise<void>>();

/**
 * Runs `body` while nobody else runs one under the same lock file, in this process or another. The file holds the number of its process: one that a killed process left is taken over.
 */
export async function underLock(file: string, body: () => Promise<void>): Promise<void> {
  for (let busy = own.get(file); busy !== undefined; busy = own.get(file)) await busy.catch(() => undefined);
  const turn = take(file).then(body).finally(() => rm(file, { force: true }));
  own.set(file, turn);
  try {
    await turn;
  } finally {
    own.delete(file);
  }
}

async function take(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  for (let unnamed = 0; ; ) {
    try {
      const handle = await open(file, "wx");
      await handle.writeFile(String(process.pid)).finally(() => handle.close());
      return;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    }
    const holder = Number(await readFile(file, "utf8").catch(() => ""));
    unnamed = holder > 0 ? 0 : unnamed + 1; // somebody is about to write the number, or was killed before
    if (unnamed > 20 || (holder > 0 && (holder === process.pid || !isRunning(holder)))) await rm(file, { force: true });
    else await pause(250);
  }
}
