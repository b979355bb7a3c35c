/** A model on the hub: `owner/name`, and which of its versions. */
export interface HubName {
  readonly id: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** Whether the user said which version: then no folder can be meant. */
  readonly explicit: boolean;
}

const idPattern = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9_][\w.-]*$/;
const revisionPattern = /^[\w.-]+(\/[\w.-]+)*$/; // becomes a file name in the cache: no way out of it

/**
 * Reads `owner/name` or `owner/name@revision`; undefined for a text that cannot be one.
 * @example
 * parseHubName("owner/name@v2"); // { id: "owner/name", revision: "v2", explicit: true }
 */
export function parseHubName(text: string): HubName | undefined {
  const at = text.indexOf("@");
  const [id, revision] = at < 0 ? [text, "main"] : [text.slice(0, at), text.slice(at + 1)];
  const good = idPattern.test(id) && revisionPattern.test(revision) && !/\.\.|--/.test(id) && !revision.includes("..");
  return good ? { id, revision, explicit: at >= 0 } : undefined;
}
