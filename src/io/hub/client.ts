import { GraftError } from "../../base/index.js";
import { isCommit } from "./cache.js";
import type { OpenRemote, RemoteFile } from "./download.js";
import type { HubName } from "./name.js";
import { hubProblem } from "./problems.js";
import { hubSettings, hubToken } from "./settings.js";

/** What is asked of the hub about one model. */
export interface HubClient {
  /** The commit that a revision is now. */
  commit(): Promise<string>;
  /** The files beside each other in the model's own folder. */
  files(commit: string): Promise<RemoteFile[]>;
  /** Opens a file of a commit. */
  open(commit: string): OpenRemote;
}

/**
 * Talks to the hub through its own package, which is loaded now. Its methods throw `network` for what the hub refuses, `Unreachable` where it does not answer.
 */
export async function hubClient({ id, revision }: HubName): Promise<HubClient> {
  const { downloadFile, listFiles, modelInfo } = await import("@huggingface/hub");
  const accessToken = await hubToken();
  const common = { ...(hubSettings.endpoint === undefined ? {} : { hubUrl: hubSettings.endpoint }), ...(accessToken === undefined ? {} : { accessToken }) };
  const asked = <T>(answer: Promise<T>): Promise<T> => answer.catch((cause: unknown) => Promise.reject(hubProblem(revision === "main" ? id : `${id}@${revision}`, accessToken !== undefined, cause)));
  const limited: typeof fetch = (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(hubSettings.answerTimeout) });
  return {
    commit: () =>
      asked(
        modelInfo({ name: id, revision, additionalFields: ["sha"], fetch: limited, ...common }).then(({ sha }) => {
          if (!isCommit(sha)) throw new GraftError("network", `${id}: the hub names ${JSON.stringify(sha)} as its commit. Check HF_ENDPOINT.`);
          return sha;
        }),
      ),
    files: (commit) => asked(entriesOf(id, listFiles({ repo: id, revision: commit, fetch: limited, ...common }))),
    open: (commit) => async (file, from, signal) => {
      let ranged = true;
      const watched: typeof fetch = async (url, init) => {
        const response = await fetch(url, { ...init, signal });
        if (response.status === 200) ranged = false;
        return response;
      };
      const content = await asked(downloadFile({ repo: id, path: file.path, revision: commit, xet: false, fetch: watched, ...common })); // over plain HTTP, which can be gone on with
      if (content === null) throw new GraftError("network", `${id}: the hub lists ${file.path} but does not have it. Try again later.`);
      ranged = true;
      return { bytes: (from > 0 ? content.slice(from) : content).stream() as unknown as AsyncIterable<Uint8Array>, ranged: () => ranged };
    },
  };
}

/** A line of the hub's listing of a folder. */
interface Entry {
  readonly type: string;
  readonly path: string;
  readonly size: number;
  readonly oid?: string;
  readonly lfs?: { readonly oid: string; readonly size: number };
}

/** Of a listing what can be named safely: plain files with a checksum. */
async function entriesOf(id: string, list: AsyncIterable<Entry>): Promise<RemoteFile[]> {
  const files: RemoteFile[] = [];
  for await (const { type, path, size, oid, lfs } of list) {
    if (type !== "file" || !/^[\w.-]+$/.test(path) || path.startsWith("..")) continue;
    const checksum = lfs?.oid ?? oid ?? "";
    if (!(lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(checksum)) throw new GraftError("network", `${id}: the hub gives ${JSON.stringify(checksum)} as checksum of ${path}. Check HF_ENDPOINT.`);
    files.push({ path, size: lfs?.size ?? size, checksum });
  }
  return files;
}
