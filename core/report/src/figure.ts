import type { PlotOptions } from '@observablehq/plot';
import { dot, ruleY } from '@observablehq/plot';
import { z } from 'zod';
import type { Markup } from './html.js';
import { html } from './html.js';
import { seriesStyle } from './palette.js';
import { drawSvg } from './svg.js';
import { renderScroller } from './table-html.js';
import type { Table } from './table.js';
import { tableSchema } from './table.js';

/** What a drawing is made for. Sizes are in the units of its `viewBox`. */
export interface Frame {
  readonly width: number;
  readonly fontSize: number;
}

const compact: Frame = { width: 400, fontSize: 12 };
/** On a wide page. */
export const wide: Frame = { width: 860, fontSize: 13 };

/** The options that every plot has. */
export const plotFields = {
  title: z.string(),
  caption: z.string().optional(),
  /** Two `half` figures are side by side on a wide page. Default `full`. */
  width: z.enum(['half', 'full']).optional(),
};

export const figureSchema = z.strictObject({
  kind: z.literal('figure'),
  ...plotFields,
  /** The content of the drawing in words, for readers who cannot see it. */
  description: z.string(),
  /** Names of the series, in the order of {@link seriesStyle}; a legend needs two of them. */
  legend: z.array(z.string()).readonly().optional(),
  /** Options for Observable Plot; `undefined` where there is nothing to draw. */
  draw: z.custom<(frame: Frame) => PlotOptions | undefined>(
    (value) => typeof value === 'function',
    'expected a function of the frame { width, fontSize } that returns the options of a plot',
  ),
  /** The same data as a table. */
  data: tableSchema,
});

/** Any drawing: what every plot of this package becomes, and the way to add one of your own. */
export type Figure = Readonly<z.infer<typeof figureSchema>>;

/**
 * Makes a block of any plot that Observable Plot can draw. Use `currentColor` and
 * {@link seriesStyle} for colours, so that it is readable in both colour schemes.
 *
 * @example
 * figure({
 *   title: 'Losses', description: 'A histogram of losses.', data: lossTable,
 *   draw: ({ width }) => ({ width, height: 240, marks: [Plot.rectY(losses, Plot.binX())] }),
 * });
 */
export const figure = (spec: Omit<Figure, 'kind'>): Figure => ({ kind: 'figure', ...spec });

/** Line and marker of the i-th series, 34 × 14. */
export function swatch(i: number): Markup {
  const { color, symbol, dash } = seriesStyle(i);
  const options = {
    width: 34,
    height: 14,
    margin: 0,
    axis: null,
    x: { domain: [0, 1] },
    y: { domain: [0, 1] },
    marks: [
      ruleY([0.5], { stroke: color, strokeWidth: 2, strokeDasharray: dash }),
      dot([[0.5, 0.5]], { symbol, r: 4, fill: color }),
    ],
  };
  return drawSvg(options, 10);
}

function renderLegend(names: readonly string[]): Markup | undefined {
  if (names.length < 2) return undefined;
  const items = names.map((name, i) => html`<li>${swatch(i)}<span>${name}</span></li>`);
  return html`<ul class="legend">
    ${items}
  </ul>`;
}

/** One drawing for phones and one for wide pages: text that scales with either would be too small. */
function renderDrawings(spec: Figure, id: string): Markup {
  const frames = spec.width === 'half' ? { compact } : { compact, wide };
  const drawings = Object.entries(frames).map(([name, frame]) => {
    const options = spec.draw(frame);
    const label = { id: `${id}-${name}`, title: spec.title, description: spec.description };
    return options && html`<div class="${name}">${drawSvg(options, frame.fontSize, label)}</div>`;
  });
  if (!drawings.some(Boolean)) return html`<p class="empty">No finite values to plot.</p>`;
  return html`<div class="drawing ${spec.width ?? 'full'}">${drawings}</div>`;
}

const renderData = (data: Table, title: string): Markup =>
  html`<details class="data">
    <summary>Data table</summary>
    ${renderScroller(data, `Data of ${title}`)}
  </details>`;

/** The plot with its legend and caption, and its data table below. */
export function renderFigure(spec: Figure, id: string): Markup {
  const { caption, title, width = 'full' } = spec;
  return html`<div id="${id}" class="block ${width}">
    <figure aria-labelledby="${id}-heading">
      <h3 id="${id}-heading">${title}</h3>
      ${renderLegend(spec.legend ?? [])} ${renderDrawings(spec, id)}
      ${caption === undefined ? caption : html`<figcaption>${caption}</figcaption>`}
    </figure>
    ${renderData(spec.data, title)}
  </div>`;
}
