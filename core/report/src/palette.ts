/**
 * Series colours, after Okabe and Ito's colour-blind-safe set, darkened for a white page and
 * lightened for a dark one until each has a contrast of at least 3:1 (WCAG 1.4.11).
 */
const light = [
  '#0068a8',
  '#c24a00',
  '#007a5a',
  '#a03f85',
  '#806000',
  '#5b4fc0',
  '#00808c',
  '#4a4f57',
];
const dark = [
  '#5ab4e8',
  '#f0954a',
  '#3cc79c',
  '#e590c4',
  '#e6cf57',
  '#aca3ff',
  '#4fd0dc',
  '#c6cbd2',
];

const variables = (colors: readonly string[]): string =>
  colors.map((color, i) => `--series-${i}:${color};`).join('');

/** CSS declarations of the series colours, for each colour scheme. */
export const seriesVariables = { light: variables(light), dark: variables(dark) };

const symbols = ['circle', 'square', 'triangle', 'diamond', 'cross', 'star', 'wye'] as const;
const dashes = ['none', '7 3', '2 3', '9 3 2 3', '14 4'];

/** How the i-th series looks. Colour, marker and dash repeat only after 280 series together. */
export interface SeriesStyle {
  readonly color: string;
  readonly symbol: (typeof symbols)[number];
  readonly dash: string;
}

/** Colour never stands alone: marker and dash tell series apart too. */
export function seriesStyle(i: number): SeriesStyle {
  return {
    color: `var(--series-${i % light.length})`,
    symbol: symbols[i % symbols.length] ?? 'circle',
    dash: dashes[i % dashes.length] ?? 'none',
  };
}
