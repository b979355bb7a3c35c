import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * Whether this process may read its terminal and change its mode: a job in the background (`command &`) that does so is stopped by the system. True where nobody can tell.
 */
export function inForeground(): boolean {
  if (process.platform === "win32") return true;
  try {
    // group of the process, and the one that the terminal belongs to
    const [own, terminal] =
      process.platform === "linux"
        ? afterName(readFileSync("/proc/self/stat", "utf8"))
        : execFileSync("ps", ["-o", "pgid=,tpgid=", "-p", String(process.pid)], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim().split(/\s+/);
    return own === terminal;
  } catch {
    return true;
  }
}

/** Fields 5 and 8 of `/proc/self/stat`, counted from 1; field 2, the name in brackets, may hold anything. */
function afterName(stat: string): readonly [string, string] {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from field 3 on
  return [fields[2], fields[5]];
}
