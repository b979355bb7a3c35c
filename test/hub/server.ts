import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** A file as the hub keeps it. */
interface Stored {
  readonly content: Buffer;
  readonly large: boolean;
}

/** What the server has, and how it misbehaves. */
export interface FakeHub {
  readonly url: string;
  /** Requests that came, "GET /path range". */
  readonly requests: string[];
  /** Files of the model, by name; those that end in .safetensors are large. */
  readonly files: Map<string, Stored>;
  /** The commit that every branch is. */
  commit: string;
  /** Closes the connection after so many bytes of a large file, so many times, or falls silent; then answers with `status`, if one is given. */
  cut: { bytes: number; times: number; status?: number; silent?: boolean };
  /** Sends other bytes than promised for large files. */
  corrupt: boolean;
  /** Answers ranges with the whole file. */
  noRanges: boolean;
  /** Answers every question with this status. */
  status: number | undefined;
  /** A model that only this token may see. */
  token: string | undefined;
  close(): Promise<void>;
}

const sha = (kind: "sha1" | "sha256", ...parts: (string | Buffer)[]): string => parts.reduce((hash, part) => hash.update(part), createHash(kind)).digest("hex");
export const gitSha = (content: Buffer): string => sha("sha1", `blob ${content.length}\0`, content);
export const sha256 = (content: Buffer): string => sha("sha256", content);

/** Plays the endpoints of a model hub for one model, on a port of this machine. */
export async function fakeHub(id: string, folder: string): Promise<FakeHub> {
  const files = new Map(readdirSync(folder).map((name) => [name, { content: readFileSync(join(folder, name)), large: name.endsWith(".safetensors") }]));
  const hub = { requests: [] as string[], files, commit: "a".repeat(40), cut: { bytes: 0, times: 0 } as FakeHub["cut"], corrupt: false, noRanges: false, status: undefined as number | undefined, token: undefined as string | undefined };
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const json = (response: ServerResponse, status: number, value: unknown): void => void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url!, url).pathname);
    hub.requests.push(`${request.method} ${path}${request.headers.range ? ` ${request.headers.range}` : ""}`);
    if (hub.status !== undefined) return json(response, hub.status, { error: "as you wished" });
    if (hub.token !== undefined && request.headers.authorization !== `Bearer ${hub.token}` && !path.startsWith("/cdn/")) return json(response, 401, { error: "Invalid username or password." });
    const info = `/api/models/${id}/revision/`;
    const tree = `/api/models/${id}/tree/${hub.commit}`;
    if (path.startsWith(info)) {
      const revision = path.slice(info.length);
      return ["main", "v1", hub.commit].includes(revision) ? json(response, 200, { _id: "1", id, sha: hub.commit, lastModified: "2026-01-01" }) : json(response, 404, { error: `Invalid rev id: ${revision}` });
    }
    if (path === tree) {
      const entries = [...files].map(([name, { content, large }]) => ({
        type: "file", path: name, size: content.length, oid: gitSha(content), ...(large ? { lfs: { oid: sha256(content), size: content.length, pointerSize: 130 } } : {}),
      }));
      return json(response, 200, [...entries, { type: "directory", path: "onnx", size: 0, oid: gitSha(Buffer.alloc(0)) }]);
    }
    const [, name] = new RegExp(`^/${id}/resolve/(?:main|v1|${hub.commit})/(.+)$`).exec(path) ?? [];
    const [, blob] = /^\/cdn\/(.+)$/.exec(path) ?? [];
    const file = files.get(name ?? blob ?? "");
    if (file === undefined) return json(response, 404, { error: "Repository not found" });
    response.setHeader("x-repo-commit", hub.commit);
    if (file.large && name !== undefined && request.headers.range !== "bytes=0-0") {
      const linked = { "x-linked-etag": `"${sha256(file.content)}"`, "x-linked-size": file.content.length };
      return void response.writeHead(302, { location: `${url}/cdn/${name}`, ...linked }).end();
    }
    send(request, response, file);
  }

  function send(request: IncomingMessage, response: ServerResponse, { content, large }: Stored): void {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const probe = request.headers.range === "bytes=0-0";
    const ranged = from !== undefined && (probe || !hub.noRanges);
    const part = Buffer.from(ranged ? content.subarray(Number(from), Number(to) + 1) : content);
    if (hub.corrupt && large) part[part.length - 1] ^= 255;
    const etag = large ? sha256(content) : gitSha(content);
    response.writeHead(ranged ? 206 : 200, { etag: `"${etag}"`, "content-length": part.length, ...(ranged ? { "content-range": `bytes ${from}-${to}/${content.length}` } : {}) });
    if (!large || probe || hub.cut.times === 0) return void response.end(part);
    hub.cut.times--;
    hub.status = hub.cut.status;
    response.write(part.subarray(0, hub.cut.bytes), () => hub.cut.silent !== true && setTimeout(() => response.destroy(), 20));
  }

  return Object.assign(hub, { url, close: () => new Promise<void>((resolve) => void (server.closeAllConnections(), server.close(() => resolve()))) });
}
