import { join } from "node:path";
import { CachedRepo, isCommit, isThere } from "./cache.js";
import { hubClient, type HubClient } from "./client.js";
import { download, type RemoteFile } from "./download.js";
import { underLock } from "./lock.js";
import type { HubName } from "./name.js";
import { offline, Unreachable, unreachable } from "./problems.js";
import { DownloadProgress, hubNote } from "./progress.js";
import { hubSettings } from "./settings.js";
import { missingFile, smallFiles, weightFiles } from "./wanted-files.js";

/**
 * The folder in Hugging Face's cache with a model of the hub. What is there already, by whatever program, is taken; the hub is asked what a branch is now, and where it cannot be reached
 * a model that is whole is used as it is. A commit that is whole takes no network at all.
 *
 * Throws `network` when the model is not to be had, `format` for a repository without weights that Graft reads, `file` when the cache cannot be written.
 */
export async function snapshotOf(name: HubName): Promise<string> {
  const label = name.revision === "main" ? name.id : `${name.id}@${name.revision}`;
  const repo = new CachedRepo(name);
  const known = await repo.commitOf(name.revision);
  const missing = known === undefined ? "config.json" : await missingFile(repo.snapshot(known));
  if (known !== undefined && missing === undefined && (isCommit(name.revision) || hubSettings.offline)) return repo.snapshot(known);
  if (hubSettings.offline) throw offline(label, missing!);
  try {
    return await fetched(name, label, repo);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    if (known === undefined || missing !== undefined) throw unreachable(label, error.message, missing!);
    hubNote(`${label}: the hub cannot be reached (${error.message}); taken from the cache`);
    return repo.snapshot(known);
  }
}

async function fetched(name: HubName, label: string, repo: CachedRepo): Promise<string> {
  const client = await hubClient(name);
  const commit = isCommit(name.revision) ? name.revision : await client.commit();
  const files = new Map((await client.files(commit)).map((file) => [file.path, file]));
  const present = new Set(files.keys());
  const folder = repo.snapshot(commit);
  const fetchAll = async (names: readonly string[]): Promise<void> => {
    for (const path of names) if (!(await isThere(join(folder, path)))) await fetchOne(client, commit, label, repo, files.get(path)!);
  };
  await fetchAll(smallFiles(present));
  await fetchAll(await weightFiles(label, present, folder));
  await repo.setCommit(name.revision, commit); // only now: until then the branch is what it was
  return folder;
}

async function fetchOne(client: HubClient, commit: string, label: string, repo: CachedRepo, file: RemoteFile): Promise<void> {
  const blob = repo.blob(file.checksum);
  if (!(await isThere(blob))) {
    await underLock(join(repo.locks, `${file.checksum}.graft`), async () => {
      if (await isThere(blob)) return; // another process has fetched it meanwhile
      const progress = new DownloadProgress(`${label} ${file.path}`, file.size);
      try {
        await download(label, file, blob, client.open(commit), (received) => progress.update(received));
      } catch (error) {
        progress.failed();
        throw error;
      }
      progress.done();
    });
  }
  await repo.link(commit, file.path, file.checksum);
}
