/** Writes a line for the user to read. */
export function print(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** Writes a line beside the results: what is going on, warnings. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Rows as a table with columns side by side; those named in `right` are flush right. */
export function table(rows: readonly (readonly string[])[], { right = [], indent = "" }: { readonly right?: readonly number[]; readonly indent?: string } = {}): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]): string => row.map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join("  ");
  return rows.map((row) => `${indent}${line(row)}`.trimEnd()).join("\n");
}

/** 1234567 -> "1,234,567" */
export const grouped = (n: number): string => n.toLocaleString("en-US");

/** 0.91389 -> "91.39 %" */
export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
