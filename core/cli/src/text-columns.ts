import { printableLine } from '@espalier/base';

/** Rows as text, each column as wide as its widest cell; what others named stays in its cell. */
export function alignColumns(named: readonly (readonly string[])[], indent = '  '): string {
  const rows = named.map((row) => row.map(printableLine));
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
