import { figure, forestPlot, linePlot, table, toSvg } from '@espalier/report';
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

  test('has a legend of its series above the drawing', () => {
    const names = Array.from({ length: 9 }, (_, i) => `<series> ${i}`);
    const series = names.map((name, i) => ({ name, points: [{ x: i, y: i }] }));
    const drawn = toSvg(linePlot({ title: 'T', x, y: x, series }));
    const { documentElement } = new DOMParser().parseFromString(drawn, 'image/svg+xml');
    const [, top, width, height] = /^0 (-\d+) (\d+) (\d+)$/
      .exec(documentElement.getAttribute('viewBox')!)!
      .map(Number);
    const items = [...documentElement.children].slice(-2 * names.length);
    const texts = items.filter(({ tagName }) => tagName === 'text');
    expect(texts.map(({ textContent }) => textContent)).toEqual(names);
    for (const text of texts) expect(text.getAttribute('text-anchor')).toBe('start');
    const places = items.map((item) => ['x', 'y'].map((name) => Number(item.getAttribute(name))));
    expect(new Set(places.map(String)).size).toBe(items.length);
    for (const [left, y] of places) {
      expect(left).toBeLessThan(width!);
      expect(y).toBeGreaterThan(top!);
      expect(y).toBeLessThan(0);
    }
    const single = toSvg(linePlot({ title: 'T', x, y: x, series: series.slice(0, 1) }));
    const { documentElement: alone } = new DOMParser().parseFromString(single, 'image/svg+xml');
    const whole = Number(alone.getAttribute('viewBox')!.split(' ')[3]);
    expect(height).toBe(whole - top!);
  });

  test('is refused with nothing to draw, and where it is no plot', () => {
    expect(() => toSvg(forestPlot({ title: 'None', x, rows: [] }))).toThrow(/None/);
    const data = table({ columns: [{ key: 'a', label: 'A' }], rows: [] });
    expect(() => toSvg(figure({ title: 'T', description: '', data, draw: 1 as never }))).toThrow(
      /draw/,
    );
  });
});
