import { figure, forestPlot, table, toSvg } from '@espalier/report';
import { DOMParser } from 'linkedom';
import { describe, expect, test } from 'vitest';

const x = { label: 'difference' };

describe('a plot as a file of its own', () => {
  const svg = toSvg(forestPlot({ title: 'A < B & "C"', x, rows: [{ label: 'a <b>', mean: 1 }] }));
  const root = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement;

  test('is an SVG document with its size, title and colours of both schemes', () => {
    expect(root.getAttribute('xmlns')).toBe('http://www.w3.org/2000/svg');
    expect(root.getAttribute('viewBox')).toMatch(/^0 0 860 \d+$/);
    expect(root.querySelector('title')?.textContent).toBe('A < B & "C"');
    expect(root.querySelector('style')?.textContent).toMatch(
      /--page:#fff.*prefers-color-scheme:dark/s,
    );
    expect(svg).toContain('a &lt;b&gt;');
  });

  test('uses no colour that it does not define, and nothing from elsewhere', () => {
    const used = [...svg.matchAll(/var\((--[\w-]+)\)/g)].map(([, name]) => name!);
    expect(used.length).toBeGreaterThan(0);
    for (const name of used) expect(svg).toContain(`${name}:`);
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|<script|url\(/);
  });

  test('is refused with nothing to draw, and where it is no plot', () => {
    expect(() => toSvg(forestPlot({ title: 'None', x, rows: [] }))).toThrow(/None/);
    const data = table({ columns: [{ key: 'a', label: 'A' }], rows: [] });
    expect(() => toSvg(figure({ title: 'T', description: '', data, draw: 1 as never }))).toThrow(
      /draw/,
    );
  });
});
