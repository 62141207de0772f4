/**
 * Series colours for a white and for a dark page. Each has a contrast of at least 3:1 with its page
 * (WCAG 1.4.11), and any two are at least 20 CIE76 apart, for normal vision, protanopia and
 * deuteranopia alike (simulated after Machado et al. 2009).
 */
const light = [
  '#164c70',
  '#a32708',
  '#00a362',
  '#e05ad3',
  '#b88d00',
  '#6262f5',
  '#005249',
  '#8d9099',
];
const dark = [
  '#40c6ff',
  '#d65e2b',
  '#46eb9e',
  '#ad5fa6',
  '#f5d63d',
  '#6666ff',
  '#2febeb',
  '#9ba0a3',
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
