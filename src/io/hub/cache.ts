import { copyFile, mkdir, readFile, rename, stat, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { GraftError } from "../../base/index.js";
import { writeFileAtomic } from "../atomic.js";
import type { HubName } from "./name.js";
import { hubSettings } from "./settings.js";

/** A commit by its full name. */
export const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);

/** Whether a file is there; a link must lead to one. */
export const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

/**
 * The place of one model in the cache, laid out as Hugging Face's packages do: `blobs/CHECKSUM` holds the content, `snapshots/COMMIT/NAME` links to it, `refs/BRANCH` names a commit.
 */
export class CachedRepo {
  readonly folder: string;

  constructor({ id }: HubName) {
    this.folder = join(hubSettings.cache, `models--${id.replace("/", "--")}`);
  }

  /** Where locks of downloads are, beside the models. */
  get locks(): string {
    return join(dirname(this.folder), ".locks", this.folder.slice(dirname(this.folder).length + 1));
  }

  blob(checksum: string): string {
    return join(this.folder, "blobs", checksum);
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** The commit that a revision was when it was last fetched. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const commit = (await readFile(join(this.folder, "refs", revision), "utf8").catch(() => "")).trim();
    return isCommit(commit) ? commit : undefined;
  }

  /** Notes what a revision is now. */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (revision !== commit && (await this.commitOf(revision)) !== commit) await writeFileAtomic(join(this.folder, "refs", revision), commit);
  }

  /** Gives a blob its name in a snapshot. Throws `file`. */
  async link(commit: string, name: string, checksum: string): Promise<void> {
    const [blob, file] = [this.blob(checksum), join(this.snapshot(commit), name)];
    try {
      await mkdir(dirname(file), { recursive: true });
      await symlink(relative(dirname(file), blob), file).catch(async (cause: NodeJS.ErrnoException) => {
        if (cause.code === "EEXIST") return;
        if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].includes(cause.code ?? "")) throw cause; // no links on this disk: a copy
        await copyFile(blob, `${file}.tmp`);
        await rename(`${file}.tmp`, file);
      });
    } catch (cause) {
      throw new GraftError("file", `${file}: could not be written: ${(cause as Error).message}. Check the folder, or choose another cache with HF_HUB_CACHE.`, { cause });
    }
  }
}
