import { GraftError } from "./errors.js";

/** A `GraftError` for a file that could not be read. */
export function readError(file: string, cause: unknown): GraftError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return new GraftError("file", `${file}: there is no such file. Check the path.`, { cause });
  return new GraftError("file", `${file}: could not be read: ${(cause as Error).message}. Check the path and its permissions.`, { cause });
}
