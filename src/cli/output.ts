export { table } from "../base/index.js";

/** Writes a line for the user to read. */
export function print(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** Writes a line beside the results: what is going on, warnings. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** 1234567 -> "1,234,567" */
export const grouped = (n: number): string => n.toLocaleString("en-US");

/** 0.91389 -> "91.39 %" */
export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
