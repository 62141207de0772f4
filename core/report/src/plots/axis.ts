import type { ScaleOptions } from '@observablehq/plot';
import { z } from 'zod';
import type { Frame } from '../figure.js';
import type { NumberFormat } from '../format.js';
import { defaultDigits, numberFormatSchema, numberFormatter } from '../format.js';
import { fitText } from '../svg.js';
import type { Estimate } from '../values.js';
import { interval, isFiniteNumber } from '../values.js';

export const axisSchema = z
  .strictObject({
    /** What the axis shows, with its unit. */
    label: z.string(),
    /** Values that the axis reaches at least; it is widened where data lie outside. */
    domain: z.tuple([z.number(), z.number()]).readonly().optional(),
    /** Default `linear`. A `log` axis shows values of zero and below as gaps. */
    scale: z.enum(['linear', 'log']).optional(),
    /** How ticks and the data table write values. */
    format: numberFormatSchema.optional(),
  })
  .check(({ value, issues }) => {
    if (value.scale !== 'log' || !value.domain?.some((end) => end <= 0)) return;
    const message = 'a log axis cannot reach zero or below';
    issues.push({ code: 'custom', input: value, path: ['domain'], message });
  });

/** An axis of a plot. */
export type Axis = Readonly<z.infer<typeof axisSchema>>;

/** Beyond these sizes differences of values leave the range of doubles and ticks turn to NaN. */
const drawable = { smallest: 1e-150, largest: 1e150 };

/** True for a value that the axis can place. */
export const isPlaceable = (axis: Axis, value: number | null | undefined): value is number =>
  isFiniteNumber(value) &&
  Math.abs(value) <= drawable.largest &&
  (axis.scale !== 'log' || value >= drawable.smallest);

/** A value and its interval on an axis; NaN for a value that the axis cannot show. */
export interface Placed {
  readonly at: number;
  readonly low: number;
  readonly high: number;
}

/** Places an estimate; an interval is only shown whole and around a shown value. */
export function place(axis: Axis, estimate: Estimate): Placed {
  if (!isPlaceable(axis, estimate.value)) return { at: NaN, low: NaN, high: NaN };
  const ends = interval(estimate);
  const [low, high] = ends?.every((end) => isPlaceable(axis, end)) ? ends : [NaN, NaN];
  return { at: estimate.value, low, high };
}

/** Gives equal values, or nearly equal ones, an axis of some length with them at its middle. */
function widen([low, high]: readonly [number, number], log: boolean): [number, number] {
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (high - low > size * 1e-9 && size > drawable.smallest) return [low, high];
  if (log) return [low / 2, high * 2];
  const room = size > drawable.smallest ? size * 0.1 : 1;
  return [low - room, high + room];
}

/** The range of an axis over the values it must show, or `undefined` if none can be placed. */
function axisDomain(
  axis: Axis,
  values: Iterable<number | null | undefined>,
): [number, number] | undefined {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!isPlaceable(axis, value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return undefined;
  const ends = (axis.domain ?? []).filter((end) => isPlaceable(axis, end));
  return widen([Math.min(low, ...ends), Math.max(high, ...ends)], axis.scale === 'log');
}

/** The room that an axis has, in the units of the drawing. */
export interface AxisRoom {
  readonly length: number;
  /** How far apart ticks stand at least. */
  readonly tickSpacing: number;
}

/** The smallest difference that a format writes, or 0 where that depends on the value. */
function smallestStep({ style, digits = defaultDigits }: NumberFormat): number {
  if (style === 'integer') return 1;
  if (style === 'percent') return 10 ** (-digits - 2);
  return style === 'fixed' ? 10 ** -digits : 0;
}

/** Adds the digits without which two ticks or more within `span` would be written alike. */
function withDigitsFor(span: number, format: NumberFormat): NumberFormat {
  const more = Math.ceil(Math.log10((2 * smallestStep(format)) / span));
  const digits = (format.digits ?? defaultDigits) + more;
  return more > 0 ? { ...format, digits: Math.min(20, digits) } : format;
}

/**
 * Drops digits that are zero in all ticks. Ticks about `step` apart stand at multiples of 1, 2, 5 or 10
 * times its power of ten, of 10 where the step is nearer to it than to 5 as a ratio.
 */
function ticksFormat(step: number, format: NumberFormat): NumberFormat {
  const { style, digits = defaultDigits } = format;
  if (style !== 'fixed' && style !== 'percent') return format;
  const needed = -Math.floor(Math.log10(step * Math.SQRT2)) - (style === 'percent' ? 2 : 0);
  return { ...format, digits: Math.min(digits, Math.max(0, needed)) };
}

/**
 * The scale options of an axis over the values it must show, or `undefined` if none can be placed.
 * Ticks of whole numbers are whole, as for epochs.
 */
export function axisScale(
  axis: Axis,
  values: readonly (number | null | undefined)[],
  { width, fontSize }: Frame,
  { length, tickSpacing }: AxisRoom,
): ScaleOptions | undefined {
  const domain = axisDomain(axis, values);
  if (!domain) return undefined;
  const { scale: type = 'linear' } = axis;
  const span = domain[1] - domain[0];
  const isWhole = values.every((value) => !isPlaceable(axis, value) || Number.isInteger(value));
  const format = axis.format && (isWhole ? axis.format : withDigitsFor(span, axis.format));
  const wholeStep = isWhole && format?.style !== 'percent' ? 1 : 0;
  const step = Math.max(wholeStep, format ? smallestStep(format) : 0);
  const spacing = type === 'log' ? tickSpacing : Math.max(tickSpacing, (length * step) / span);
  const ofTicks =
    format && type !== 'log' ? ticksFormat((span * spacing) / length, format) : format;
  return {
    domain,
    type,
    label: fitText(axis.label, width / fontSize - 3),
    tickSpacing: spacing,
    ...(ofTicks && { tickFormat: numberFormatter(ofTicks) }),
  };
}
