import { z } from 'zod';
import { figureSchema, renderFigure } from './figure.js';
import type { Figure } from './figure.js';
import type { Markup } from './html.js';
import { barFigure, barPlotSchema } from './plots/bar-plot.js';
import { forestFigure, forestPlotSchema } from './plots/forest-plot.js';
import { xyFigure, xyPlotSchema } from './plots/xy-plot.js';
import { renderTable } from './table-html.js';
import { tableSchema } from './table.js';
import * as blocks from './text-blocks.js';

const kinds = [
  tableSchema,
  xyPlotSchema,
  barPlotSchema,
  forestPlotSchema,
  figureSchema,
  blocks.textSchema,
  blocks.noteSchema,
  blocks.keyValuesSchema,
  blocks.codeSchema,
  blocks.jsonSchema,
] as const;

const kindNames = kinds.flatMap((schema) => {
  const { kind } = schema.shape;
  return kind instanceof z.ZodEnum ? kind.options : [kind.value];
});

export const blockSchema = z.discriminatedUnion('kind', kinds, {
  error: ({ code }) =>
    code === 'invalid_union' ? `expected one of the kinds ${kindNames.join(', ')}` : undefined,
});

/** A part of a section: plain data with a `kind`. */
export type Block = Readonly<z.infer<typeof blockSchema>>;

/** The HTML of a block; `id` is unique in the page. */
export function renderBlock(block: Block, id: string): Markup {
  switch (block.kind) {
    case 'table':
      return renderTable(block, id);
    case 'text':
      return blocks.renderText(block);
    case 'note':
      return blocks.renderNote(block);
    case 'keyValues':
      return blocks.renderKeyValues(block);
    case 'code':
      return blocks.renderCode(block);
    case 'json':
      return blocks.renderJson(block);
    default:
      return renderFigure(toFigure(block), id);
  }
}

/** Any plot. */
export type Plot = Extract<Block, { readonly draw: unknown } | { readonly kind: `${string}Plot` }>;

/** The drawing that a plot is. */
export function toFigure(plot: Plot): Figure {
  switch (plot.kind) {
    case 'linePlot':
    case 'dotPlot':
      return xyFigure(plot);
    case 'barPlot':
      return barFigure(plot);
    case 'forestPlot':
      return forestFigure(plot);
    case 'figure':
      return plot;
  }
}
