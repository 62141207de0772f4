import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Row, RowKey } from './run-row.js';

const KEY = ['matrix', 'hash', 'ratio', 'method', 'queries', 'half', 'seed'] as const;

const isOf = (row: RowKey, key: RowKey): boolean => KEY.every((name) => row[name] === key[name]);

/** Rows of results, one line of JSON each, so that a bench that was stopped goes on. */
export class Results {
  readonly #rows: Row[];

  constructor(private readonly path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#rows = existsSync(path) ? readRows(path) : [];
  }

  find(key: RowKey): Row | undefined {
    return this.#rows.find((row) => isOf(row, key));
  }

  add(row: Row): void {
    appendFileSync(this.path, `${JSON.stringify(row)}\n`);
    this.#rows.push(row);
  }
}

/** A last line that was cut short by the end of a process is taken away. */
function readRows(path: string): Row[] {
  const text = readFileSync(path, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) truncateSync(path, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

/** Rows with the same key together, in the order of their first. */
export function groupBy(
  rows: readonly Row[],
  key: (row: Row) => string,
): readonly (readonly Row[])[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
  return [...groups.values()];
}
