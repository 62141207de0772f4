/** Rows as text, each column as wide as its widest cell. */
export function alignColumns(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) => indent + row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}

/** A number short enough for a table. */
export function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : Number(value.toPrecision(5)).toString();
}

/** Text that others wrote, without what a terminal would obey: escapes and other control characters but line ends. */
export const printable = (text: string): string => text.replace(/(?!\n)\p{Cc}/gu, '\ufffd');
