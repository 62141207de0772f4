import { blockSchema, toFigure } from './block.js';
import type { Plot } from './block.js';
import { wide } from './figure.js';
import { replaceForbidden } from './html.js';
import { colorVariables } from './page-style.js';
import { drawSvg } from './svg.js';
import { ReportError, validate } from './validate.js';

const style = `<style>svg{${colorVariables.light};background:var(--page);color:var(--ink);font-family:system-ui,sans-serif}
@media (prefers-color-scheme:dark){svg{${colorVariables.dark}}}</style>`;

/**
 * A plot as an SVG file of its own, as a README can show it: light or dark as the reader's screen is.
 * It has no legend and no caption, so use it for plots with labelled marks.
 *
 * @throws ReportError where the plot is not valid, or has nothing to draw.
 * @example
 * writeFileSync('differences.svg', toSvg(forestPlot({ title: 'Differences', x, rows })));
 */
export function toSvg(plot: Plot): string {
  const { draw, title, description } = toFigure(validate('plot', blockSchema, plot) as Plot);
  const options = draw(wide);
  if (!options) throw new ReportError('plot', [`'${title}' has no finite values`]);
  const { source } = drawSvg(options, wide.fontSize, { id: 'plot', title, description });
  const namespace = source.includes('xmlns=') ? '' : ' xmlns="http://www.w3.org/2000/svg"';
  return replaceForbidden(`${source.replace('>', `${namespace}>${style}`)}\n`);
}
