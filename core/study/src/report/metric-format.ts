import { numberFormatter } from '@espalier/report';
import type { Estimate, NumberFormat } from '@espalier/report';
import type { Findings } from '../analysis/findings.js';
import type { Summary } from '../statistics/summary.js';
import { TRAINING } from '../store/read-metric.js';

/** How a metric and its differences are shown. */
export interface MetricFormat {
  /** Shown numbers are the metric times this: 100 for per cent. */
  readonly factor: number;
  /** `undefined`: four significant digits. */
  readonly format: NumberFormat | undefined;
  /** Of differences: the same, with their sign. */
  readonly signed: NumberFormat | undefined;
  /** Of values, with split and unit, such as `validation accuracy, %`. */
  readonly label: string;
  /** Of differences: a difference of per cents is in points. */
  readonly unit: string;
}

const TWO_DECIMALS: NumberFormat = { style: 'fixed', digits: 2 };

/** The format of the i-th metric of a study: per cent for accuracies, else four significant digits. */
export function metricFormat({ rows, split }: Findings, i: number): MetricFormat {
  const { name } = rows[0]!.metrics[i]!.metric;
  const values = rows.flatMap(({ metrics }) => [...metrics[i]!.values.values()].filter(isKnown));
  const label = name.startsWith(TRAINING)
    ? `training ${name.slice(TRAINING.length)}`
    : `${split} ${name}`;
  const isShare = /accuracy/i.test(name) && values.every((value) => value >= 0 && value <= 1);
  const format = isShare ? TWO_DECIMALS : fourDigits(values);
  const signed = format && { ...format, plus: true };
  return isShare
    ? { factor: 100, format, signed, label: `${label}, %`, unit: 'points' }
    : { factor: 1, format, signed, label, unit: name };
}

/** The same number of decimals for all values of a metric, and for their differences. */
function fourDigits(values: readonly number[]): NumberFormat | undefined {
  const sizes = values.map(Math.abs).filter((size) => size > 0);
  if (sizes.length === 0) return undefined;
  const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
  if (!(low >= 1e-3 && high < 1e4 && high < 1e3 * low)) return undefined;
  return { style: 'fixed', digits: Math.max(0, 3 - Math.floor(Math.log10(high))) };
}

/** Mean and Student's t interval, as they are shown. */
export function toEstimate(of: Summary, { factor }: MetricFormat): Estimate {
  return {
    value: of.mean * factor,
    low: scaleValue(of.low, factor),
    high: scaleValue(of.high, factor),
  };
}

export function scaleValue(value: number | null | undefined, factor: number): number | null {
  return isKnown(value) ? value * factor : null;
}

/** An interval of a difference alone, as text. */
export function formatInterval(
  of: { readonly low: number; readonly high: number },
  { factor, signed }: MetricFormat,
): string {
  const write = numberFormatter(signed);
  return `[${write(of.low * factor)}, ${write(of.high * factor)}]`;
}

export const isKnown = (value: number | null | undefined): value is number =>
  value !== null && value !== undefined;
