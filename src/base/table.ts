/** Rows as a table with columns side by side; those named in `right` are flush right. */
export function table(rows: readonly (readonly string[])[], { right = [], indent = "" }: { readonly right?: readonly number[]; readonly indent?: string } = {}): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]): string => row.map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join("  ");
  return rows.map((row) => `${indent}${line(row)}`.trimEnd()).join("\n");
}
