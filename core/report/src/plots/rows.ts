import type { Markish, PlotOptions } from '@observablehq/plot';
import { text } from '@observablehq/plot';
import type { Frame } from '../figure.js';
import { fitText, textEms } from '../svg.js';
import type { Axis, Placed } from './axis.js';
import { axisScale } from './axis.js';

/** One row of a plot of labelled rows. A row without a value is a heading over the next rows. */
export interface Row {
  readonly label: string;
  readonly value?: Placed & {
    /** The value as text. */
    readonly written: string;
  };
  /** Which series the row belongs to: its colour. */
  readonly series: number;
}

/** A row with the key of its band, since labels may repeat. */
export type KeyedRow = Row & { readonly key: number };

/** Where the texts of rows stand. */
export interface RowLayout {
  readonly marginLeft: number;
  readonly marginRight: number;
  /** Whether labels are above their rows, because next to them they would leave no room for the marks. */
  readonly stacked: boolean;
  readonly bandHeight: number;
  /** What the values written on the labels' lines take of them. */
  readonly valueWidth: number;
}

/** How a kind of plot draws its rows. */
export interface RowMarks {
  /** Whether values are written at the right end of the label's line or next to their marks. */
  readonly values: 'column' | 'beside';
  readonly draw: (rows: readonly KeyedRow[]) => readonly Markish[];
}

const gap = 10;

/** Keeps texts readable where they cross a grid line. */
const halo = { fill: 'currentColor', stroke: 'var(--page)', strokeWidth: 4 };

const widest = (texts: readonly string[], fontSize: number): number =>
  Math.max(0, ...texts.map(textEms)) * fontSize + gap + 4;

function layOut(rows: readonly Row[], values: RowMarks['values'], frame: Frame): RowLayout {
  const { width, fontSize } = frame;
  const valued = rows.filter((row) => row.value);
  const labels = valued.map(({ label }) => label);
  const written = valued.map(({ value }) => value?.written ?? '');
  const left = widest(labels, fontSize);
  const right = Math.min(widest(written, fontSize), width * 0.4);
  const stacked = left > width * 0.5 || left + right > width * 0.7;
  return {
    marginLeft: stacked ? 2 * fontSize : left,
    marginRight: stacked && values === 'column' ? 2 * fontSize : right,
    stacked,
    bandHeight: fontSize * 1.85,
    valueWidth: values === 'column' ? widest(written, fontSize) : 0,
  };
}

/** Gives each row two bands where labels are stacked: one for the texts, one for the marks. */
function toBands(rows: readonly Row[], stacked: boolean): KeyedRow[] {
  let bands = 0;
  return rows.map((row) => {
    bands += stacked && row.value ? 2 : 1;
    return { ...row, key: bands - 1 };
  });
}

function rowTexts(rows: readonly KeyedRow[], layout: RowLayout, frame: Frame): Markish[] {
  const { marginLeft, stacked } = layout;
  const wholeLine = frame.width / frame.fontSize - 2;
  const besideValue = wholeLine - layout.valueWidth / frame.fontSize;
  const above = { textAnchor: 'start', dx: 4 - marginLeft } as const;
  const beside = { textAnchor: 'end', dx: -gap } as const;
  const label = (ems: number) => (row: Row) => fitText(row.label, ems);
  return [
    text(
      rows.filter(({ value }) => !value),
      { y: 'key', text: label(wholeLine), frameAnchor: 'left', ...above, dy: 3, fontWeight: 600 },
    ),
    text(
      rows.filter(({ value }) => value),
      {
        y: stacked ? ({ key }: KeyedRow) => key - 1 : 'key',
        text: label(stacked ? besideValue : (marginLeft - gap) / frame.fontSize),
        frameAnchor: 'left',
        ...(stacked ? above : beside),
        dy: stacked ? 5 : 0,
        ...halo,
      },
    ),
  ];
}

function valueColumn(rows: readonly KeyedRow[], { stacked, marginRight }: RowLayout): Markish {
  return text(rows, {
    y: stacked ? ({ key }: KeyedRow) => key - 1 : 'key',
    text: ({ value }: Row) => value?.written,
    frameAnchor: 'right',
    ...(stacked
      ? { textAnchor: 'end', dx: marginRight - 4, dy: 5 }
      : { textAnchor: 'start', dx: gap }),
    fontVariant: 'tabular-nums',
    ...halo,
  });
}

/**
 * Lays rows out from top to bottom, with their labels and written values; `undefined` where none of
 * the values that the axis must show can be placed.
 */
export function plotRows(
  rows: readonly Row[],
  axis: Axis,
  values: readonly (number | undefined)[],
  frame: Frame,
  marks: RowMarks,
): PlotOptions | undefined {
  const { width, fontSize } = frame;
  const layout = layOut(rows, marks.values, frame);
  const keyed = toBands(rows, layout.stacked);
  const valued = keyed.filter((row) => row.value);
  const bands = (keyed.at(-1)?.key ?? 0) + 1;
  const length = width - layout.marginLeft - layout.marginRight;
  const scale = axisScale(axis, values, frame, { length, tickSpacing: 6 * fontSize });
  if (!scale) return undefined;
  return {
    width,
    height: Math.round(bands * layout.bandHeight + fontSize * 3.8),
    marginLeft: layout.marginLeft,
    marginRight: layout.marginRight,
    marginTop: fontSize * 0.4,
    marginBottom: fontSize * 3.4,
    x: {
      ...scale,
      nice: true,
      grid: true,
      tickSize: 4,
    },
    y: {
      type: 'band',
      domain: Array.from({ length: bands }, (_, i) => i),
      axis: null,
      padding: 0.22,
    },
    marks: [
      ...marks.draw(valued),
      ...rowTexts(keyed, layout, frame),
      ...(marks.values === 'column' ? [valueColumn(valued, layout)] : []),
    ],
  };
}
