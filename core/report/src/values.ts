import type { EspalierError } from '@espalier/base';
import { copyJson } from '@espalier/base';
import { z } from 'zod';

/** A read-only list. */
export const list = <T extends z.ZodType>(item: T) => z.array(item).readonly();

/** A number of a plot; `null`, NaN and infinities are accepted and shown as gaps. */
export const gapNumber = z.custom<number | null>(
  (value) => value === null || typeof value === 'number',
  'expected a number, or null for a gap',
);

/** A value with an optional interval, such as a mean and its 95 % confidence interval. */
export interface Estimate {
  readonly value: number | null;
  readonly low?: number | null;
  readonly high?: number | null;
}

/** What a table cell may hold. */
export type Cell = string | number | boolean | null | undefined | Estimate;

/** True for a number that can be drawn: neither missing, NaN nor infinite. */
export const isFiniteNumber = (value: unknown): value is number => Number.isFinite(value);

export const isEstimate = (value: unknown): value is Estimate =>
  typeof value === 'object' && value !== null && 'value' in value;

const isGapNumber = (value: unknown): boolean =>
  value === undefined || value === null || typeof value === 'number';

function isCell(value: unknown): boolean {
  if (!isEstimate(value)) return isGapNumber(value) || /string|boolean/.test(typeof value);
  return [value.value, value.low, value.high].every(isGapNumber);
}

export const cellSchema = z.custom<Cell>(
  isCell,
  'expected text, a number, a boolean, null, or an estimate { value, low?, high? }',
);

/** The interval of a value where both of its ends can be shown. */
export function interval(of: {
  readonly low?: number | null;
  readonly high?: number | null;
}): readonly [number, number] | undefined {
  return isFiniteNumber(of.low) && isFiniteNumber(of.high) ? [of.low, of.high] : undefined;
}

/** Refuses an interval whose ends are swapped. */
export function checkInterval(
  of: { readonly low?: number | null; readonly high?: number | null },
  context: z.RefinementCtx,
): void {
  const ends = interval(of);
  if (!ends || ends[0] <= ends[1]) return;
  context.addIssue({
    code: 'custom',
    path: ['low'],
    message: `low (${ends[0]}) is above high (${ends[1]}); swap them`,
  });
}

/** Refuses items with the same key. */
export const checkUnique =
  <K extends string>(key: K) =>
  (items: readonly Readonly<Record<K, string>>[], context: z.RefinementCtx): void => {
    const values = items.map((item) => item[key]);
    values.forEach((value, i) => {
      if (values.indexOf(value) === i) return;
      const message = `the same ${key} as that of item ${values.indexOf(value)}`;
      context.addIssue({ code: 'custom', path: [i, key], message });
    });
  };

/** Plain data, NaN and infinities included; what JSON cannot hold is refused by its place. */
export const jsonValue = z.unknown().superRefine((value, context) => {
  try {
    copyJson(value);
  } catch (error) {
    const reason = (error as EspalierError).parts.problem;
    context.addIssue({ code: 'custom', message: `cannot be written as JSON: ${reason}` });
  }
});
