import { renderReport } from '@espalier/report';
import { describe, expect, it } from 'vitest';

type Triple = readonly [number, number, number];
type Matrix = readonly [Triple, Triple, Triple];

/** Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB. */
const visions: Readonly<Record<string, Matrix>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
};
const toXyz: Matrix = [
  [0.4124, 0.3576, 0.1805],
  [0.2126, 0.7152, 0.0722],
  [0.0193, 0.1192, 0.9505],
];

const times = (matrix: Matrix, [a, b, c]: Triple): Triple => {
  const [x, y, z] = matrix.map(([p, q, r]) => p * a + q * b + r * c);
  return [x ?? 0, y ?? 0, z ?? 0];
};

function linear(hex: string): Triple {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return [r ?? 0, g ?? 0, b ?? 0];
}

function lab(color: Triple): Triple {
  const f = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const [x, y, z] = times(toXyz, color);
  return [116 * f(y) - 16, 500 * (f(x / 0.9505) - f(y)), 200 * (f(y) - f(z / 1.089))];
}

const seen = (hex: string, vision: Matrix): Triple => {
  const [r, g, b] = times(vision, linear(hex)).map((c) => Math.min(1, Math.max(0, c)));
  return lab([r ?? 0, g ?? 0, b ?? 0]);
};

const contrast = (a: string, b: string): number => {
  const [low = 0, high = 0] = [a, b]
    .map((hex) => times(toXyz, linear(hex))[1])
    .sort((p, q) => p - q);
  return (high + 0.05) / (low + 0.05);
};

const style = renderReport({ title: 't', sections: [] }).match(/<style>([^]*)<\/style>/)?.[1] ?? '';
const [lightStyle = '', darkStyle = ''] = style.split('prefers-color-scheme');
const colorsOf = (css: string): string[] =>
  [...css.matchAll(/--series-\d:(#[0-9a-f]{6})/g)].map((match) => match[1] ?? '');

describe.each([
  ['light', lightStyle, '#ffffff'],
  ['dark', darkStyle, '#14171b'],
])('series colours of the %s page', (_, css, ground) => {
  const colors = colorsOf(css);

  it('stand out from the page', () => {
    expect(colors).toHaveLength(8);
    for (const color of colors) expect(contrast(color, ground)).toBeGreaterThanOrEqual(3);
  });

  it.each(Object.entries(visions))('differ for %s vision', (_name, vision) => {
    const points = colors.map((color) => seen(color, vision));
    const distances = points.flatMap((p, i) =>
      points.slice(i + 1).map((q) => Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2])),
    );
    expect(Math.min(...distances)).toBeGreaterThanOrEqual(20);
  });
});
