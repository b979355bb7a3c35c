import { GraftError } from "../../base/index.js";
import { hubSettings } from "./settings.js";

/** A reason to try again, or to be content with the cache: nothing is known about the model itself. */
export class Unreachable extends Error {}

/** The innermost reason of a failed request: `fetch` hides it. */
export function reasonOf(error: unknown): string {
  if (typeof error === "string") return error;
  if (error instanceof Unreachable) return error.message;
  const { cause, code, message, name } = error as NodeJS.ErrnoException & { cause?: unknown };
  if (cause instanceof Error) return reasonOf(cause);
  return name === "TimeoutError" ? "no answer in time" : message || code || String(error);
}

/** What an answer, or the lack of one, means to the user. `loggedIn`: a token was sent. */
export function hubProblem(name: string, loggedIn: boolean, cause: unknown): Error {
  if (cause instanceof GraftError || cause instanceof Unreachable) return cause;
  const { statusCode, data } = cause as { statusCode?: unknown; data?: { error?: unknown } };
  const said = typeof data?.error === "string" ? ` (${data.error.slice(0, 200)})` : "";
  const problem = (text: string): GraftError => new GraftError("network", `${name}: there is no such folder, and the hub ${text}`, { cause });
  if (typeof statusCode !== "number") return new Unreachable(reasonOf(cause), { cause });
  if (statusCode === 401) {
    const token = loggedIn ? "The token was not accepted, or may not see it: check HF_TOKEN" : "Check the name; for a private or gated one set HF_TOKEN, or log in with hf auth login";
    return problem(`shows no such model (401)${said}. ${token}.`);
  }
  if (statusCode === 403) return problem(`refuses it (403)${said}. Accept the conditions on the model's page, and use a token that may read it.`);
  if (statusCode === 404) return problem(`has no such model or revision (404)${said}. Check the name.`);
  if (statusCode === 429) return new Unreachable("too many requests (429)", { cause });
  return new Unreachable(`the hub answers ${statusCode}${said}`, { cause });
}

/** The error for a model that is neither in the cache nor to be had. */
export function unreachable(name: string, reason: string, missing: string): GraftError {
  return new GraftError(
    "network",
    `${name}: there is no such folder, the hub cannot be reached (${reason}), and the cache ${hubSettings.cache} lacks its ${missing}. Check the network, or copy the model's folder here and name that.`,
  );
}

/** The error for a model that is not in the cache while the network may not be used. */
export function offline(name: string, missing: string): GraftError {
  return new GraftError(
    "network",
    `${name}: there is no such folder, and the cache ${hubSettings.cache} lacks its ${missing}; nothing is fetched because HF_HUB_OFFLINE is set. Unset it, or copy the model's folder here and name that.`,
  );
}
