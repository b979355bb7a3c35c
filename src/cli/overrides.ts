import type { Command } from "commander";
import { UsageError } from "./exit.js";

/** A key that a flag gives: `--lr 0.01` is ["optimizer.lr", "0.01"]. */
export interface Override {
  readonly key: string;
  readonly value: string;
  /** As the user wrote it, for messages. */
  readonly flag: string;
}

/** A flag that stands for a key, with its value where it was given. */
export interface KeyFlag {
  readonly flag: string;
  readonly key: string;
  readonly value: string | undefined;
  /** Its value is a text, not a number. */
  readonly text?: boolean;
}

/** Adds the option that replaces any key. */
export const setOption = (command: Command, what: string): Command =>
  command.option("--set <key=value>", `replace ${what}; may be given several times`, (value: string, all: readonly string[]) => [...all, value], []);

/** Flags as keys of the file. Throws `UsageError` for what is no number, and for a `--set` without a key. */
export function overridesOf(command: string, flags: readonly KeyFlag[], set: readonly string[]): Override[] {
  const short = flags.flatMap(({ flag, key, value, text = false }): Override[] => {
    if (value === undefined) return [];
    if (!text && (value.trim() === "" || !Number.isFinite(Number(value)))) throw new UsageError(`${command}: ${flag} is "${value}". Use a number.`);
    return [{ key, value: text ? JSON.stringify(value) : value, flag: `${flag} ${value}` }];
  });
  const long = set.map((text): Override => {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`${command}: --set ${text}: write key=value.`);
    return { key: text.slice(0, at), value: text.slice(at + 1), flag: `--set ${text}` };
  });
  return [...short, ...long];
}
