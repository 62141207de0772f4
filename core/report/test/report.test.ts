import type { Axis, Block, Report } from '@espalier/report';
import {
  barPlot,
  code,
  dotPlot,
  figure,
  forestPlot,
  json,
  keyValues,
  linePlot,
  note,
  renderReport,
  table,
  text,
} from '@espalier/report';
import fc from 'fast-check';
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';

const axis: Axis = { label: 'value' };
const page = (...blocks: readonly Block[]): string =>
  renderReport({ title: 'Test', sections: [{ heading: 'Section', blocks }] });

const parse = (source: string): Document => parseHTML(source).document;

/** Every kind of block, with the given text wherever a caller can put one. */
function reportOf(t: string): Report {
  const plot = { title: t, caption: t };
  const series = [t, `${t} 2`];
  const data = table({ columns: [{ key: t, label: t, format: String }], rows: [{ [t]: t }] });
  return {
    title: t,
    subtitle: t,
    generated: t,
    lang: t,
    manifest: { [t]: [t, null] },
    sections: [
      { heading: t, blocks: [] },
      { heading: t, blocks: [] },
      {
        heading: t,
        lead: t,
        blocks: [
          { ...data, title: t, caption: t },
          linePlot({
            ...plot,
            x: { label: t, format: { style: 'fixed', unit: t } },
            y: { label: t },
            series: series.map((name) => ({
              name,
              points: [
                { x: 1, y: 1 },
                { x: 2, y: 3 },
              ],
            })),
          }),
          barPlot({
            ...plot,
            value: { label: t },
            series: series.map((name) => ({ name, bars: [{ label: t, value: 2 }] })),
          }),
          forestPlot({ ...plot, x: { label: t }, rows: [{ label: t, mean: 1, low: 0, high: 2 }] }),
          figure({
            ...plot,
            description: t,
            data,
            draw: () => ({ x: { domain: [0, 1], label: t } }),
          }),
          note({ level: 'warning', text: t }),
          text(t),
          keyValues([{ label: t, value: t }]),
          code({ summary: t, text: t }),
          json({ summary: t, value: t }),
        ],
      },
    ],
  };
}

const hostile = [
  '</script><script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  `"' onload='x' x="`,
  '--><!--',
  ']]></svg><style>*{}</style>',
  '&lt;b&gt; &amp; &#0; \u0000\u001b\ud800',
  '</title></textarea></style>',
  '__proto__',
  '${x} `y`',
];

describe('user text', () => {
  /** Which elements with which attributes there are: text may change how many ticks there are. */
  const kinds = (source: string): string[] =>
    [...parse(source).querySelectorAll('*')]
      .map(({ tagName, attributes }) => [tagName, ...[...attributes].map(({ name }) => name)])
      .map((names) => names.join(' '))
      .sort()
      .filter((kind, i, all) => kind !== all[i - 1]);
  const expected = kinds(renderReport(reportOf('harmless')));

  it.each(hostile)('%j adds no element and no attribute', (t) => {
    const source = renderReport(reportOf(t));
    expect(kinds(source)).toEqual(expected);
    expect(parse(source).querySelector('h1')?.textContent).toBe(
      t.replace('\u0000\u001b\ud800', '\ufffd\ufffd\ufffd'),
    );
  });

  it('of any kind is shown as it was given', () => {
    const unit = fc.constantFrom('<', '>', '&', '"', "'", '/', '=', 'a', '!', '-', '`', '😀', ' ');
    fc.assert(
      fc.property(fc.string({ unit, minLength: 1 }), (t) => {
        const document = parse(
          page(
            table({ columns: [{ key: 'k', label: t }], rows: [{ k: t }] }),
            note({ level: 'info', text: t }),
          ),
        );
        expect(document.querySelector('thead th')?.textContent).toBe(t);
        expect(document.querySelector('tbody th')?.textContent).toBe(t);
        expect(document.querySelector('.note p')?.textContent).toBe(t);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the page', () => {
  const source = renderReport(reportOf('x'));
  const document = parse(source);

  it('names its language, size and title, and asks for nothing', () => {
    expect(source).toMatch(/^<!doctype html>\s*<html lang="x">/);
    expect(document.querySelector('meta[name=viewport]')).not.toBeNull();
    expect(source).not.toMatch(/<script|https?:(?!\/\/www\.w3\.org)|url\(|@import/);
  });

  it('is the same text for the same input', () => {
    expect(renderReport(reportOf('x'))).toBe(source);
  });

  it('has no id twice, and every reference points at an id', () => {
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const references = [...document.querySelectorAll('[aria-labelledby]')].flatMap((element) =>
      (element.getAttribute('aria-labelledby') ?? '').split(' '),
    );
    const links = [...document.querySelectorAll('a')].map((a) => a.getAttribute('href')?.slice(1));
    expect(ids).toEqual(expect.arrayContaining([...references, ...links]));
  });

  it('labels every drawing and gives it a data table', () => {
    const drawings = [...document.querySelectorAll('svg[role=img]')];
    expect(drawings.length).toBeGreaterThan(0);
    for (const svg of drawings) {
      expect(svg.querySelector('title')?.textContent).toBe('x');
      expect(svg.querySelector('desc')?.textContent).toBeTruthy();
      expect(svg.closest('.block')?.querySelector('details table')).not.toBeNull();
    }
  });

  it('gives every table header its scope', () => {
    expect(document.querySelectorAll('th').length).toBe(
      document.querySelectorAll('th[scope]').length,
    );
  });
});

describe('values of a plot', () => {
  const extreme = fc.constantFrom(
    null,
    NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    5e-324,
    1.7e308,
    -1.7e308,
    1,
  );
  const value = fc.oneof(extreme, fc.double(), fc.integer({ min: -5, max: 5 }));
  const scale = fc.constantFrom('linear' as const, 'log' as const);
  const point = fc.record({ x: value, y: value, low: fc.constant(null), high: value });
  const broken = /NaN|Infinity|undefined|null/;
  const unwritten = /Infinity|undefined|null/;

  const drawn = (source: string): string =>
    [...parse(source).querySelectorAll('svg')]
      .map((svg) => svg.outerHTML.replace(/>[^<]*</g, '><')) // its shapes, without what is written
      .join('');

  it('never break lines, dots or their tables', () => {
    fc.assert(
      fc.property(fc.array(point, { maxLength: 12 }), scale, scale, (points, sx, sy) => {
        const spec = {
          title: 't',
          x: { ...axis, scale: sx },
          y: { ...axis, scale: sy },
          series: [{ name: 'a', points }],
        };
        const source = page(linePlot(spec), dotPlot(spec));
        expect(drawn(source)).not.toMatch(broken);
        expect(parse(source).querySelector('main')?.textContent).not.toMatch(unwritten);
      }),
      { numRuns: 60 },
    );
  });

  it('never break bars or forests', () => {
    const interval = fc.tuple(value, value, value).map(([at, a, b]) => {
      const ends = typeof a === 'number' && typeof b === 'number' && a > b ? [b, a] : [a, b];
      return { at, low: ends[0], high: ends[1] };
    });
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 6 }), value, (rows, reference) => {
        const bars = rows.map(({ at, low, high }, i) => ({ label: `${i}`, value: at, low, high }));
        const effects = rows.map(({ at, low, high }, i) => ({
          label: `${i}`,
          mean: at,
          low,
          high,
        }));
        const source = page(
          barPlot({ title: 't', value: axis, series: [{ name: 'a', bars }] }),
          forestPlot({
            title: 't',
            x: axis,
            rows: effects,
            reference: Number.isFinite(reference) ? (reference ?? undefined) : undefined,
          }),
        );
        expect(drawn(source)).not.toMatch(broken);
      }),
      { numRuns: 60 },
    );
  });

  it('say so where there is nothing to draw', () => {
    const source = page(
      linePlot({
        title: 't',
        x: axis,
        y: axis,
        series: [{ name: 'a', points: [{ x: 1, y: NaN }] }],
      }),
    );
    expect(parse(source).querySelector('.empty')?.textContent).toBe('No finite values to plot.');
  });

  it('leave a gap in a line where one is missing', () => {
    const points = [1, 2, null, 4, 5].map((y, x) => ({ x, y }));
    const document = parse(
      page(linePlot({ title: 't', x: axis, y: axis, series: [{ name: 'a', points }] })),
    );
    const path = document.querySelector('svg[role=img] [aria-label=line] path')?.getAttribute('d');
    expect(path?.match(/M/g)).toHaveLength(2);
    expect(document.querySelectorAll('details tbody td')[2]?.textContent).toBe('—');
  });

  it('that are equal or alone stand at one height, the middle of the axis', () => {
    const [one, three] = [[3], [3, 3, 3]].map((ys) => {
      const series = [{ name: 'a', points: ys.map((y, x) => ({ x, y })) }];
      const document = parse(page(dotPlot({ title: 't', x: axis, y: axis, series })));
      const dots = document.querySelectorAll('.compact [aria-label=dot] circle');
      return [...dots].map((dot) => Number(dot.getAttribute('cy')));
    });
    expect(one).toHaveLength(1);
    expect(three).toEqual([one?.[0], one?.[0], one?.[0]]);
  });

  it.each([2, 30])('of a line of %i points all have a marker', (count) => {
    const points = Array.from({ length: count }, (_, x) => ({ x, y: x % 3 }));
    const document = parse(
      page(linePlot({ title: 't', x: axis, y: axis, series: [{ name: 'a', points }] })),
    );
    for (const frame of ['compact', 'wide']) {
      expect(document.querySelectorAll(`.${frame} [aria-label=dot] circle`)).toHaveLength(count);
    }
  });

  it('of a long line have few markers, but one where there is no line', () => {
    const points = Array.from({ length: 200 }, (_, x) => ({ x, y: x < 3 || x > 5 ? 1 : null }));
    const withLone = points.map((point) => (point.x === 4 ? { x: 4, y: 2 } : point));
    const markers = [points, withLone].map((some) => {
      const series = [{ name: 'a', points: some }];
      const document = parse(page(linePlot({ title: 't', x: axis, y: axis, series })));
      return document.querySelectorAll('.compact [aria-label=dot] circle').length;
    });
    expect(markers).toEqual([8, 9]);
  });

  it('tell their series apart without colour', () => {
    const series = Array.from({ length: 8 }, (_, i) => ({
      name: `s${i}`,
      points: [{ x: 1, y: i }],
    }));
    const document = parse(page(linePlot({ title: 't', x: axis, y: axis, series })));
    const looks = [...document.querySelectorAll('.legend li')].map((item) => {
      const marks = [...item.querySelectorAll('g')];
      return marks.map((g) => [
        g.getAttribute('stroke-dasharray'),
        g.innerHTML.replace(/var\([^)]*\)/g, ''),
      ]);
    });
    expect(new Set(looks.map((look) => JSON.stringify(look))).size).toBe(8);
  });
});

describe('the axes of a plot', () => {
  const texts = (block: Block, what: string): string[] =>
    [...parse(page(block)).querySelectorAll(`.compact [aria-label="${what}"] text`)].map(
      ({ textContent }) => textContent ?? '',
    );
  const line = (xs: readonly number[], ys: readonly number[], x = axis, y = axis): Block => {
    const points = xs.map((at, i) => ({ x: at, y: ys[i] ?? null }));
    return linePlot({ title: 't', width: 'half', x, y, series: [{ name: 'a', points }] });
  };
  const epochs = [1, 2, 3, 4, 5, 6];

  it.each([
    [epochs, ['1', '2', '3', '4', '5', '6']],
    [
      [1, 2],
      ['1', '2'],
    ],
    [[3], ['3']],
  ])('have whole ticks over the whole numbers %j', (values, ticks) => {
    expect(texts(line(values, values), 'x-axis tick label')).toEqual(ticks);
    expect(texts(line(values, values), 'y-axis tick label')).toEqual(ticks);
  });

  it('have whole ticks over wide ranges of whole numbers, with room between them', () => {
    const steps = [10_000, 10_004, 10_008];
    const ticks = texts(line(steps, steps), 'x-axis tick label');
    expect(ticks.length).toBeLessThan(7);
    for (const tick of ticks) expect(tick).toMatch(/^10,00\d$/);
  });

  it('have whole ticks under counts in bars and forests', () => {
    const bars = [{ label: 'a', value: 2 }];
    const counts = barPlot({
      title: 't',
      width: 'half',
      value: axis,
      series: [{ name: 's', bars }],
    });
    expect(texts(counts, 'x-axis tick label')).toEqual(['0', '1', '2']);
    const rows = [{ label: 'a', mean: 0, low: -1, high: 1 }];
    const effects = forestPlot({ title: 't', width: 'half', x: axis, rows });
    expect(texts(effects, 'x-axis tick label')).toEqual(['\u22121', '0', '1']);
  });

  it('keep ticks between whole numbers where values are not whole', () => {
    expect(texts(line([0, 0.5, 1], [0, 0, 0]), 'x-axis tick label')).toContain('0.2');
    const shares = { ...axis, format: { style: 'percent', digits: 0 } as const };
    expect(texts(line([0, 1], [0, 0], shares), 'x-axis tick label')).toContain('40%');
  });

  it.each([
    [[0.535, 0.559], { style: 'percent', digits: 0 }],
    [[0.541, 0.544], { style: 'percent', digits: 0 }],
    [[1.501, 1.503], { style: 'fixed', digits: 1 }],
    [[0.2, 2.4], { style: 'integer' }],
  ] as const)('write no two ticks alike over %j in %j', (values, format) => {
    const ticks = texts(line([1, 2], values, axis, { ...axis, format }), 'y-axis tick label');
    expect(ticks.length).toBeGreaterThan(1);
    expect(new Set(ticks).size).toBe(ticks.length);
  });

  it('write no digit that is zero in all ticks', () => {
    const format = { style: 'fixed', digits: 2 } as const;
    const ticks = (ys: readonly number[]) =>
      texts(line([1, 2], ys, axis, { ...axis, format }), 'y-axis tick label');
    expect(ticks([0.5, 2.5])).toEqual(['0.5', '1.0', '1.5', '2.0', '2.5']);
    expect(ticks([0.5, 9.5])).toEqual(['0', '2', '4', '6', '8', '10']);
    expect(ticks([0.5, 0.7])).toContain('0.55');
  });

  it('end a label that is too long with an ellipsis', () => {
    const label = 'expected calibration error of the ensemble of all exits, in percentage points';
    const [x] = texts(line(epochs, epochs, { label }), 'x-axis label');
    expect(x).toMatch(/^expected calibration error.*… →$/);
  });
});

it('labels of a forest leave room for the values on their line', () => {
  const label = 'self-distillation from the deepest exit to every other one';
  const format = { style: 'fixed', digits: 2, plus: true } as const;
  const rows = [{ label, mean: 2.7, low: 2.42, high: 2.97 }];
  const forest = forestPlot({ title: 't', width: 'half', x: { label: 'x', format }, rows });
  const texts = [...parse(page(forest)).querySelectorAll('.compact [aria-label="text"] text')];
  const [written] = texts.filter(({ textContent }) => textContent?.startsWith('+'));
  const [shown] = texts.filter(({ textContent }) => textContent?.startsWith('self'));
  expect(shown?.textContent).toMatch(/…$/);
  expect(`${shown?.textContent} ${written?.textContent}`.length).toBeLessThan(400 / 12 / 0.6);
});

it('a cell of several lines keeps them', () => {
  const columns = ['row', 'changes'].map((key) => ({ key, label: key }));
  const rows = [{ row: 'a', changes: 'one\ntwo' }];
  const document = parse(page(table({ columns, rows })));
  expect(document.querySelector('td')?.textContent).toBe('one\ntwo');
  expect(document.querySelector('style')?.textContent).toContain('td.left{white-space:pre-line}');
});

describe('wrong input', () => {
  const messageOf = (block: unknown): string => {
    try {
      page(table({ columns: [{ key: 'a', label: 'a' }], rows: [] }), block as Block);
    } catch (error) {
      return (error as Error).message;
    }
    return 'no error';
  };
  const line = { title: 't', x: axis, y: axis };

  it.each([
    [{ kind: 'pie' }, 'sections[0].blocks[1].kind: expected one of the kinds table, linePlot'],
    [
      { kind: 'table', columns: [], rows: [] },
      'sections[0].blocks[1].columns: a table needs at least one',
    ],
    [
      { kind: 'table', columns: [{ key: 3, label: 'a' }], rows: [] },
      'blocks[1].columns[0].key: expected string',
    ],
    [
      { kind: 'table', columns: [{ key: 'a', label: 'a' }], rows: [{ a: { b: 1 } }] },
      'blocks[1].rows[0].a: expected text, a number, a boolean, null, or an estimate { value, low?, high? } (received an object with the keys b)',
    ],
    [
      { kind: 'linePlot', ...line, series: [{ name: 'a', points: [{ x: '1', y: 1 }] }] },
      'series[0].points[0].x: expected a number, or null for a gap (received "1")',
    ],
    [
      {
        kind: 'linePlot',
        ...line,
        series: [{ name: 'a', points: [{ x: 1, y: 1, low: 2, high: 1 }] }],
      },
      'low (2) is above high (1)',
    ],
    [{ kind: 'linePlot', ...line, series: [], captoin: '' }, 'Unrecognized key: "captoin"'],
    [
      { kind: 'linePlot', ...line, x: { label: 'x', scale: 'log', domain: [0, 1] }, series: [] },
      'blocks[1].x.domain: a log axis cannot reach zero',
    ],
    [
      {
        kind: 'linePlot',
        ...line,
        series: [
          { name: 'a', points: [] },
          { name: 'a', points: [] },
        ],
      },
      'series[1].name: the same name as that of item 0 (received "a")',
    ],
    [
      { kind: 'barPlot', title: 't', value: { label: 'v', scale: 'log' }, series: [] },
      'value.scale: bars begin at zero',
    ],
    [{ kind: 'json', summary: 's', value: 1n }, 'blocks[1].value: cannot be written as JSON'],
    [
      { kind: 'table', columns: [{ key: 'a', label: 'a', format: { style: 'foo' } }], rows: [] },
      'columns[0].format: expected a function, or a number format { style, digits?, unit? } whose style is one of fixed, percent',
    ],
    [
      { kind: 'note', level: 'bad', text: '' },
      'blocks[1].level: expected one of "info"|"warning" (received "bad")',
    ],
  ])('is refused by name: case %#', (block, message) => {
    expect(messageOf(block)).toContain(message);
  });
});
