import { z } from 'zod';
import type { Estimate } from './values.js';
import { interval, isFiniteNumber } from './values.js';

/** Shown wherever a value is missing. */
export const missing = '—';

export const numberFormatSchema = z.strictObject({
  /**
   * `fixed`: 1,234.50; `percent`: 0.912 as 91.2%; `significant`: 0.0123; `integer`: 12,345;
   * `compact`: 1.23M.
   */
  style: z.enum(['fixed', 'percent', 'significant', 'integer', 'compact']),
  /** Digits after the point (`fixed`, `percent`) or significant ones; not used by `integer`. */
  digits: z.int().min(0).max(20).optional(),
  /** Whether a number above zero has a plus, as differences should. */
  plus: z.boolean().optional(),
  /** Written after the number, such as `ms`. */
  unit: z.string().optional(),
});

/** How a number is written: plain data, so a report can be kept as JSON. */
export type NumberFormat = Readonly<z.infer<typeof numberFormatSchema>>;

/** The digits of a format that does not say. */
export const defaultDigits = 2;

function intlOptions({ style, digits = defaultDigits }: NumberFormat): Intl.NumberFormatOptions {
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const significant = Math.max(1, digits);
  switch (style) {
    case 'fixed':
      return fraction;
    case 'percent':
      return { style: 'percent', ...fraction };
    case 'integer':
      return { maximumFractionDigits: 0 };
    case 'compact':
      return {
        notation: 'compact',
        minimumSignificantDigits: significant,
        maximumSignificantDigits: significant,
      };
    case 'significant':
      return { minimumSignificantDigits: significant, maximumSignificantDigits: significant };
  }
}

/** Four significant digits, integers whole; exponents where a plain number would be a row of zeros. */
function plainNumber(value: number): string {
  const rounded = Number.isInteger(value) ? value : Number(value.toPrecision(4));
  return String(rounded === 0 ? 0 : rounded);
}

function bareFormatter(format?: NumberFormat): (value: number) => string {
  const signDisplay = format?.plus ? 'exceptZero' : 'negative';
  const write = format
    ? // A fixed locale, so that the same report is the same text on every machine.
      new Intl.NumberFormat('en-US', { signDisplay, ...intlOptions(format) }).format
    : plainNumber;
  return (value) => write(value).replace(/^-/, '\u2212');
}

const withUnit = (text: string, format?: NumberFormat): string =>
  format?.unit ? `${text}\u00a0${format.unit}` : text;

/**
 * Makes the function that writes numbers in one format: NaN as it is, infinities as ∞; a minus is the
 * minus sign U+2212.
 *
 * @example
 * numberFormatter({ style: 'percent', digits: 1 })(0.9123); // '91.2%'
 */
export function numberFormatter(format?: NumberFormat): (value: number) => string {
  const write = bareFormatter(format);
  return (value) => (Number.isFinite(value) ? withUnit(write(value), format) : notFinite(value));
}

/** A number that no format fits: a run that diverged must not look like one that is missing. */
function notFinite(value: number): string {
  return String(value).replace('Infinity', '∞').replace('-', '\u2212');
}

/** Makes the function that writes estimates: the value, then the interval if it has one. */
export function estimateFormatter(format?: NumberFormat): (estimate: Estimate) => string {
  const write = bareFormatter(format);
  return (estimate) => {
    if (estimate.value === null) return missing;
    if (!isFiniteNumber(estimate.value)) return notFinite(estimate.value);
    const ends = interval(estimate);
    const range = ends ? ` [${write(ends[0])}, ${write(ends[1])}]` : '';
    return withUnit(write(estimate.value) + range, format);
  };
}
