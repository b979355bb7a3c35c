import { createHash, randomBytes } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { GraftError } from "../../base/index.js";

/** What a fetched file must be. */
export interface Expected {
  readonly bytes: number;
  /** SHA-256 in hexadecimal digits. */
  readonly sha256: string;
}

/**
 * Fetches a file, checks size and SHA-256, and only then puts it in place (by renaming), so that no half or wrong file is ever found there.
 *
 * Throws `network` when it cannot be fetched or is not what was expected, `file` when it cannot be written.
 */
export async function download(url: string, file: string, expected: Expected): Promise<void> {
  const content = await fetchBytes(url, expected.bytes);
  const sha256 = createHash("sha256").update(content).digest("hex");
  if (content.length !== expected.bytes || sha256 !== expected.sha256) {
    throw new GraftError(
      "network",
      `${url}: gave ${content.length} bytes with SHA-256 ${sha256.slice(0, 12)}..., expected are ${expected.bytes} bytes with ${expected.sha256.slice(0, 12)}.... It is another file or was damaged; try another mirror.`,
    );
  }
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(temporary, content);
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new GraftError("file", `${file}: could not be written: ${(cause as Error).message}. Choose another folder with root or GRAFT_DATA.`, { cause });
  }
}

/** The body of a response, but not more than one byte beyond what is expected: a server can send anything. */
async function fetchBytes(url: string, expected: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    const response = await fetch(url);
    if (!response.ok || response.body === null) throw new Error(`the server answers ${response.status} ${response.statusText}`);
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > expected) break;
    }
  } catch (cause) {
    const inner = (cause as Error).cause as NodeJS.ErrnoException | undefined; // fetch hides the reason there
    const reason = inner?.message || inner?.code || (cause as Error).message;
    throw new GraftError("network", `${url}: could not be fetched: ${reason}. Check the network.`, { cause });
  }
  return Buffer.concat(chunks);
}
