import { markdownText, numberFormatter, table, toCsv, toMarkdown, toText } from '@espalier/report';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const runs = table({
  columns: [
    { key: 'run', label: 'Run' },
    { key: 'top1', label: 'Top-1', format: { style: 'percent', digits: 1 }, best: 'max' },
    { key: 'ms', label: 'Time', format: { style: 'fixed', digits: 2, unit: 'ms' }, best: 'min' },
  ],
  rows: [
    { run: 'plain', top1: 0.9123, ms: { value: 1.5, low: 1.25, high: 1.75 } },
    { run: 'byot | x', top1: 0.93, ms: 2 },
    { run: 'diverged', top1: NaN, ms: null },
  ],
});

describe('toMarkdown', () => {
  it('writes formats, intervals, best values and missing ones', () => {
    expect(toMarkdown(runs)).toBe(
      [
        '| Run | Top-1 | Time |',
        '| :-- | --: | --: |',
        '| plain | 91.2% | **1.50 \\[1.25, 1.75\\]\u00a0ms** |',
        '| byot \\| x | **93.0%** | 2.00\u00a0ms |',
        '| diverged | NaN | — |',
        '',
      ].join('\n'),
    );
  });

  it('keeps one line and as many cells for a row, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('|', '\\', '\n', 'a', '`', '<') }), (a) => {
        const columns = [
          { key: 'a', label: 'a' },
          { key: 'b', label: 'b' },
        ];
        const line = toMarkdown(table({ columns, rows: [{ a, b: 'end' }] })).split('\n');
        expect(line).toHaveLength(4);
        const bars = (line[2] ?? '').match(/(?<!\\)(?:\\\\)*\|/g);
        expect(bars).toHaveLength(3);
      }),
    );
  });
});

describe('markdownText', () => {
  it('shows a text as it is, on one line', () => {
    expect(markdownText('a_b | *c*\n<d> & [e]')).toBe(String.raw`a\_b \| \*c\* &lt;d> &amp; \[e\]`);
  });
});

describe('a format with a plus', () => {
  it('writes the sign of whatever is not zero', () => {
    const write = numberFormatter({ style: 'fixed', digits: 1, plus: true });
    expect([1.25, -1, 0, 0.04, NaN].map(write)).toEqual(['+1.3', '\u22121.0', '0.0', '0.0', 'NaN']);
  });
});

describe('toText', () => {
  it('shows control characters, which a terminal would obey, as signs', () => {
    const red = table({
      columns: [{ key: 'a', label: 'a' }],
      rows: [{ a: '\u001b[31mred\u0007' }],
    });
    expect(toText(red)).toBe('a\n─────────\n\ufffd[31mred\ufffd\n');
    expect(markdownText('\u001b[31mred')).toBe('\ufffd\\[31mred');
  });

  it('aligns columns and stars the best values', () => {
    expect(toText(runs)).toBe(
      [
        'Run       Top-1                   Time',
        '────────  ──────  ─────────────────────',
        'plain     91.2%   1.50 [1.25, 1.75]\u00a0ms*',
        'byot | x  93.0%*               2.00\u00a0ms',
        'diverged    NaN                      —',
        '* best of its column',
        '',
      ].join('\n'),
    );
  });

  it('marks no cell where all are equal', () => {
    const columns = [{ key: 'a', label: 'a', best: 'max' as const }];
    expect(toText(table({ columns, rows: [{ a: 1 }, { a: 1 }] }))).toBe('a\n─\n1\n1\n');
  });
});

/** A reader of RFC 4180, as slow and plain as it can be. */
function parseCsv(source: string): string[][] {
  const rows: string[][] = [];
  let [row, field, quoted]: [string[], string, boolean] = [[], '', false];
  for (let i = 0; i < source.length; i++) {
    const char = source.charAt(i);
    if (quoted && char === '"' && source[i + 1] === '"') field += source.charAt(++i);
    else if (char === '"') quoted = !quoted;
    else if (quoted) field += char;
    else if (char === ',') [row, field] = [[...row, field], ''];
    else if (char === '\n') {
      rows.push([...row, field.replace(/\r$/, '')]);
      [row, field] = [[], ''];
    } else field += char;
  }
  return rows;
}

describe('toCsv', () => {
  it('gives an estimate three fields at full precision', () => {
    expect(toCsv(runs)).toBe(
      [
        'Run,Top-1,Time,Time low,Time high',
        'plain,0.9123,1.5,1.25,1.75',
        'byot | x,0.93,2,,',
        'diverged,NaN,,,',
        '',
      ].join('\r\n'),
    );
  });

  it('round-trips any text and any finite number', () => {
    const unit = fc.constantFrom('"', "'", ',', ';', '\t', '\n', 'a', ' ', '=', '-', '@');
    const text = fc.string({ unit }).filter((each) => !/^[=\-@\t\n]/.test(each));
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(fc.record({ a: text, b: number }), { minLength: 1 }), (rows) => {
        const columns = [
          { key: 'a', label: 'a' },
          { key: 'b', label: 'b' },
        ];
        const parsed = parseCsv(toCsv(table({ columns, rows }))).slice(1);
        expect(parsed.map(([a]) => a)).toEqual(rows.map((row) => row.a));
        expect(parsed.map(([, b]) => Number(b))).toEqual(rows.map((row) => row.b + 0));
      }),
    );
  });
});

describe('what others named is text', () => {
  const cell = (value: string | number) =>
    toCsv(table({ columns: [{ key: 'v', label: 'v' }], rows: [{ v: value }] })).split('\r\n')[1];

  it.each([
    ['=1+1', `"'=1+1"`],
    ['+1', `"'+1"`],
    ['-1', `"'-1"`],
    ['@SUM(A1)', `"'@SUM(A1)"`],
    ['\t=1', `"'\t=1"`],
    ['\r=1', `"'\ufffd=1"`],
    ['\n=1', `"'\n=1"`],
    ['\uff1d1', `"'\uff1d1"`],
    ['=HYPERLINK("x";"y")', `"'=HYPERLINK(""x"";""y"")"`],
    ['a;=1+1', '"a;=1+1"'],
    ['\u001b[2J', '\ufffd[2J'],
    ['a=1', 'a=1'],
  ])('%j in CSV', (text, field) => {
    expect(cell(text)).toBe(field);
  });

  it('numbers below zero stay numbers', () => {
    expect([-1.5, -Infinity, -0.001].map(cell)).toEqual(['-1.5', '-Infinity', '-0.001']);
  });

  it('a heading is text as a cell is', () => {
    expect(toCsv(table({ columns: [{ key: 'v', label: '=1' }], rows: [] }))).toBe(`"'=1"\r\n`);
  });

  it.each([
    ['# title', String.raw`\# title`],
    ['> quote', String.raw`\> quote`],
    ['- item', String.raw`\- item`],
    ['+ item', String.raw`\+ item`],
    ['---', String.raw`\---`],
    ['1. item', String.raw`1\. item`],
    ['    code', 'code'],
    ['~~gone~~', String.raw`\~\~gone\~\~`],
    ['$x$', String.raw`\$x\$`],
    ['see https://x.y', String.raw`see https:\//x.y`],
    ['see www.x.y', String.raw`see www\.x.y`],
    ['![a](b)', String.raw`!\[a\](b)`],
    ['a\u202eb', 'a\ufffdb'],
    ['+0.5 and -0.5, 0.5', '+0.5 and -0.5, 0.5'],
  ])('%j in Markdown', (text, source) => {
    expect(markdownText(text)).toBe(source);
  });
});

describe('number formats', () => {
  const written = (value: number, format?: Parameters<typeof table>[0]['columns'][0]['format']) =>
    toText(table({ columns: [{ key: 'v', label: 'v', format }], rows: [{ v: value }] }))
      .split('\n')[2]
      ?.trim();

  it.each([
    [1234.5, { style: 'fixed', digits: 2 }, '1,234.50'],
    [-0.001, { style: 'fixed', digits: 2 }, '0.00'],
    [-1.5, { style: 'fixed', digits: 1 }, '−1.5'],
    [0.01234, { style: 'significant', digits: 3 }, '0.0123'],
    [12345, { style: 'integer' }, '12,345'],
    [3.7e6, { style: 'compact', digits: 3 }, '3.70M'],
    [0.123456, undefined, '0.1235'],
    [4000, undefined, '4000'],
    [-0, undefined, '0'],
    [Infinity, { style: 'integer' }, '∞'],
    [-Infinity, undefined, '−∞'],
    [NaN, { style: 'percent', digits: 1 }, 'NaN'],
  ] as const)('writes %d as %j: %s', (value, format, text) => {
    expect(written(value, format)).toBe(text);
  });

  it('writes whatever a function makes of a cell', () => {
    expect(written(3, (cell) => `#${String(cell)}`)).toBe('#3');
  });
});
