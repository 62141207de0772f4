import { z } from 'zod';
import { estimateFormatter, missing, numberFormatSchema } from './format.js';
import type { Cell } from './values.js';
import { cellSchema, checkUnique, isEstimate, isFiniteNumber, list } from './values.js';

const columnSchema = z.strictObject({
  /** Which property of a row the column shows. */
  key: z.string(),
  /** The heading. */
  label: z.string(),
  /** Default: `right` for a column that holds numbers, else `left`. */
  align: z.enum(['left', 'right', 'center']).optional(),
  /** A number format, or a function for everything else. */
  format: z
    .union(
      [
        numberFormatSchema,
        z.custom<(value: Cell) => string>((value) => typeof value === 'function'),
      ],
      'expected a function, or a number format { style, digits?, unit? } whose style is one of ' +
        numberFormatSchema.shape.style.options.join(', '),
    )
    .optional(),
  /** Marks the largest or the smallest value of the column. */
  best: z.enum(['max', 'min']).optional(),
});

export const tableSchema = z.strictObject({
  kind: z.literal('table'),
  title: z.string().optional(),
  /** The first column names the rows. */
  columns: list(columnSchema)
    .refine(({ length }) => length > 0, 'a table needs at least one column')
    .superRefine(checkUnique('key')),
  rows: list(z.record(z.string(), cellSchema)),
  caption: z.string().optional(),
});

/** A column of a {@link Table}. */
export type Column = Readonly<z.infer<typeof columnSchema>>;

/** A table as plain data: shown as HTML, Markdown, CSV or aligned text. */
export type Table = Readonly<z.infer<typeof tableSchema>>;

/**
 * Makes a table block.
 *
 * @example
 * const accuracy = table({
 *   columns: [
 *     { key: 'run', label: 'Run' },
 *     { key: 'top1', label: 'Top-1', format: { style: 'percent', digits: 1 }, best: 'max' },
 *   ],
 *   rows: [{ run: 'plain', top1: 0.912 }, { run: 'byot', top1: { value: 0.93, low: 0.92, high: 0.94 } }],
 * });
 */
export const table = (spec: Omit<Table, 'kind'>): Table => ({ kind: 'table', ...spec });

export type Align = NonNullable<Column['align']>;

/** A table with its cells formatted as text. */
export interface WrittenTable {
  readonly columns: readonly { readonly label: string; readonly align: Align }[];
  readonly rows: readonly (readonly { readonly text: string; readonly best: boolean }[])[];
}

const readNumber = (cell: Cell): number | undefined => {
  const value = isEstimate(cell) ? cell.value : cell;
  return isFiniteNumber(value) ? value : undefined;
};

function cellWriter({ format }: Column): (cell: Cell) => string {
  if (typeof format === 'function') return (cell) => String(format(cell));
  const estimate = estimateFormatter(format);
  return (cell) => {
    if (cell === null || cell === undefined) return missing;
    if (typeof cell === 'number') return estimate({ value: cell });
    return isEstimate(cell) ? estimate(cell) : String(cell);
  };
}

/** The best value, unless all are equal: then none stands out. */
function findBest(column: Column, cells: readonly Cell[]): number | undefined {
  const values = cells.map(readNumber).filter(isFiniteNumber);
  if (!column.best || values.every((value) => value === values[0])) return undefined;
  const extreme = column.best === 'max' ? Math.max : Math.min;
  return values.reduce((a, b) => extreme(a, b));
}

function writeColumn(column: Column, cells: readonly Cell[]) {
  const best = findBest(column, cells);
  const write = cellWriter(column);
  const numeric = cells.some((cell) => typeof cell === 'number' || isEstimate(cell));
  return {
    label: column.label,
    align: column.align ?? (numeric ? ('right' as const) : ('left' as const)),
    cells: cells.map((cell) => ({
      text: write(cell),
      best: best !== undefined && readNumber(cell) === best,
    })),
  };
}

/** Writes every cell in its column's format and marks the best ones. */
export function writeTable({ columns, rows }: Table): WrittenTable {
  const written = columns.map((column) =>
    writeColumn(
      column,
      rows.map((row) => (Object.hasOwn(row, column.key) ? row[column.key] : undefined)),
    ),
  );
  return {
    columns: written.map(({ label, align }) => ({ label, align })),
    rows: rows.map((_, i) =>
      written.map(({ cells }) => cells[i] ?? { text: missing, best: false }),
    ),
  };
}
