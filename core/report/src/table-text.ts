import { printable, printableLine } from '@espalier/base';
import type { Align, Table } from './table.js';
import { tableSchema, writeTable } from './table.js';
import { validate } from './validate.js';
import type { Cell } from './values.js';
import { isEstimate } from './values.js';

/**
 * Text as Markdown that shows it as it is, on one line: in a paragraph or a cell.
 *
 * @example
 * markdownText('a_b | <c>'); // 'a\\_b \\| &lt;c>'
 */
export function markdownText(text: string): string {
  // Backslash first: a text that ends in one would otherwise escape the cell's own bar.
  return printableLine(text)
    .trim()
    .replace(/[\\|`*_[\]~$]/g, '\\$&')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/:\/\//g, String.raw`:\//`)
    .replace(/\bwww\./gi, (text) => text.replace('.', String.raw`\.`))
    .replace(/^(?:>|#{1,6}(?=\s|$)|[+-](?=\s|$)|-(?=\s*-))/, String.raw`\$&`)
    .replace(/^(\d+)([.)])(?=\s|$)/, String.raw`$1\$2`);
}

const rules: Readonly<Record<Align, string>> = { left: ':--', right: '--:', center: ':-:' };

/**
 * The table in GitHub-flavoured Markdown; best values are bold.
 *
 * @throws {@link ReportError} if the table is not valid.
 * @example
 * toMarkdown(table({ columns: [{ key: 'n', label: 'n' }], rows: [{ n: 1 }] }));
 * // '| n |\n| --: |\n| 1 |\n'
 */
export function toMarkdown(input: Table): string {
  const { columns, rows } = writeTable(validate('The table', tableSchema, input));
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return [
    line(columns.map(({ label }) => markdownText(label))),
    line(columns.map(({ align }) => rules[align])),
    ...rows.map((row) =>
      line(row.map(({ text, best }) => (best ? `**${markdownText(text)}**` : markdownText(text)))),
    ),
  ].join('');
}

const width = (text: string): number => [...text].length;

function pad(text: string, size: number, align: Align): string {
  const space = size - width(text);
  const left = { left: 0, right: space, center: Math.floor(space / 2) }[align];
  return ' '.repeat(left) + text + ' '.repeat(space - left);
}

/**
 * The table in aligned columns for a terminal; best values carry an asterisk.
 *
 * @throws {@link ReportError} if the table is not valid.
 */
export function toText(input: Table): string {
  const { columns, rows } = writeTable(validate('The table', tableSchema, input));
  const starred = columns.map((_, i) => rows.some((row) => row[i]?.best));
  const grid = [
    columns.map(({ label }, i) => printableLine(label) + (starred[i] ? ' ' : '')),
    ...rows.map((row) =>
      row.map(({ text, best }, i) => printableLine(text) + (best ? '*' : starred[i] ? ' ' : '')),
    ),
  ];
  const sizes = columns.map((_, i) => Math.max(...grid.map((row) => width(row[i] ?? ''))));
  const lines = grid.map((row) =>
    row.map((text, i) => pad(text, sizes[i] ?? 0, columns[i]?.align ?? 'left')).join('  '),
  );
  lines.splice(1, 0, sizes.map((size) => '─'.repeat(size)).join('  '));
  const legend = starred.includes(true) ? '\n* best of its column\n' : '\n';
  return lines.map((line) => line.trimEnd()).join('\n') + legend;
}

/** What makes a spreadsheet take a cell for a formula, in the wide forms of East Asian keyboards too. */
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

const writeText = (text: string): string => printable(FORMULA.test(text) ? `'${text}` : text);

/**
 * A field of CSV. Text that a spreadsheet would compute, begins with an apostrophe, by which it is text; numbers stay numbers.
 * Quotes keep text in one field where another program takes semicolons or tabs for commas.
 */
function csvField(value: Cell): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? writeText(value) : String(value);
  return /["',;\t\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

/**
 * The table as CSV (RFC 4180) with a header of labels and raw values at full precision, whatever
 * the columns' formats. Text that a spreadsheet would compute (`=1+1`) gets an apostrophe in front. An estimate takes
 * three fields: value, low, high. Missing values are empty; NaN, Infinity and -Infinity are written as such.
 *
 * @throws {@link ReportError} if the table is not valid.
 */
export function toCsv(input: Table): string {
  const { columns, rows } = validate('The table', tableSchema, input);
  const fields = columns.flatMap(({ key, label }) => {
    const cell = (row: (typeof rows)[number]): Cell =>
      Object.hasOwn(row, key) ? row[key] : undefined;
    if (!rows.some((row) => isEstimate(cell(row)))) return [{ label, read: cell }];
    const part = (name: 'value' | 'low' | 'high') => (row: (typeof rows)[number]) => {
      const value = cell(row);
      if (isEstimate(value)) return value[name];
      return name === 'value' ? value : undefined;
    };
    return [
      { label, read: part('value') },
      { label: `${label} low`, read: part('low') },
      { label: `${label} high`, read: part('high') },
    ];
  });
  const lines = [
    fields.map(({ label }) => label),
    ...rows.map((row) => fields.map((f) => f.read(row))),
  ];
  return lines.map((line) => `${line.map(csvField).join(',')}\r\n`).join('');
}
