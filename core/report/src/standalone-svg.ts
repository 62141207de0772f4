import { printable } from '@espalier/base';
import { blockSchema, toFigure } from './block.js';
import type { Plot } from './block.js';
import { swatch, wide } from './figure.js';
import { html } from './html.js';
import { colorVariables } from './page-style.js';
import { drawSvg, textEms } from './svg.js';
import { ReportError, validate } from './validate.js';

const style = `<style>svg{${colorVariables.light};background:var(--page);color:var(--ink);font-family:system-ui,sans-serif}
@media (prefers-color-scheme:dark){svg{${colorVariables.dark}}}</style>`;

const [SWATCH, GAP, LINE] = [34, 8, 20];

/**
 * A plot as an SVG file of its own, as a README can show it: light or dark as the reader's screen is.
 * A legend of several series is above the plot; there is no caption.
 *
 * @throws ReportError where the plot is not valid, or has nothing to draw.
 * @example
 * writeFileSync('differences.svg', toSvg(forestPlot({ title: 'Differences', x, rows })));
 */
export function toSvg(plot: Plot): string {
  const { draw, title, description, legend } = toFigure(
    validate('plot', blockSchema, plot) as Plot,
  );
  const options = draw(wide);
  if (!options) throw new ReportError('plot', [`'${title}' has no finite values`]);
  const drawing = drawSvg(options, wide.fontSize, { id: 'plot', title, description });
  const source = addLegend(drawing.source, legend ?? []);
  const namespace = source.includes('xmlns=') ? '' : ' xmlns="http://www.w3.org/2000/svg"';
  return printable(`${source.replace('>', `${namespace}>${style}`)}\n`);
}

/** In columns as wide as the longest name, above the drawing: that of its `viewBox` grows upwards. */
function addLegend(source: string, names: readonly string[]): string {
  if (names.length < 2) return source;
  const { width, fontSize } = wide;
  const longest = Math.max(...names.map(textEms)) * fontSize;
  const columns = Math.max(1, Math.floor(width / (longest + SWATCH + 2 * GAP)));
  const height = Math.ceil(names.length / columns) * LINE + GAP;
  const items = names.map((name, i) => {
    const x = GAP + (i % columns) * ((width - GAP) / columns);
    const y = Math.floor(i / columns) * LINE + GAP - height;
    const drawn = swatch(i).source.replace('<svg', `<svg x="${x}" y="${y}"`);
    const text = html`<text
      x="${x + SWATCH + GAP}"
      y="${y + 12}"
      text-anchor="start"
      fill="currentColor"
      >${name}</text
    >`;
    return drawn + text.source;
  });
  return source
    .replace(/viewBox="0 0 (\S+) (\S+)"/, (_, w: string, h: string) => {
      return `viewBox="0 ${-height} ${w} ${Number(h) + height}"`;
    })
    .replace(/<\/svg>$/, () => `${items.join('')}</svg>`);
}
