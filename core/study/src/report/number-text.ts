import { missing, numberFormatter } from '@espalier/report';
import type { Cell, Column } from '@espalier/report';

const PREFIXES = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Bytes in the unit that leaves one to three digits before the point: 12.3 MB. */
export function formatBytes(value: number): string {
  const power = Math.floor(Math.log10(Math.max(value, 1)) / 3);
  const i = Math.min(power, PREFIXES.length - 1);
  const format = { style: 'significant', digits: 3, unit: PREFIXES[i]! } as const;
  return numberFormatter(format)(value / 1000 ** i);
}

const count = { style: 'compact', digits: 3 } as const;

export const countText = numberFormatter(count);

const ofP = numberFormatter({ style: 'fixed', digits: 3 });

/** A p value; below what three decimals can tell, only that. */
export const formatP = (value: number): string => (value < 0.001 ? '<\u00a00.001' : ofP(value));

/** Formats of columns; cells of text stay as they are. */
export const columnFormats = {
  bytes: column(formatBytes),
  p: column(formatP),
  seconds: { style: 'significant', digits: 3, unit: 's' },
  ratio: { style: 'fixed', digits: 2, unit: '×' },
  count,
} as const satisfies Record<string, Column['format']>;

function column(write: (value: number) => string): (cell: Cell) => string {
  return (cell) =>
    typeof cell === 'string' ? cell : typeof cell === 'number' ? write(cell) : missing;
}

export const joinWithAnd = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;

/** `1 row`, `2 rows`. */
export const pluralize = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** An ISO 8601 instant to the minute. */
export const formatInstant = (at: string): string => `${at.slice(0, 16).replace('T', ' ')} UTC`;
