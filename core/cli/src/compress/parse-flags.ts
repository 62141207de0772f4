import type { Measure, Objective } from '@espalier/compression';
import { InvalidArgumentError } from 'commander';

/** `--ratio`. */
export function parseRatio(text: string): number {
  return parseNumber(text, (n) => n > 1 && n < Infinity, 'It must be a number above 1.');
}

/** `--max-error`. */
export function parseShare(text: string): number {
  return parseNumber(text, (n) => n > 0 && n < 1, 'It must lie between 0 and 1.');
}

/** `--bits`. */
export function parseBits(text: string): 8 | 4 | 3 | 2 | 'none' {
  if (text === 'none') return text;
  const message = 'It must be 8, 4, 3, 2 or none.';
  return parseNumber(text, (n) => [8, 4, 3, 2].includes(n), message) as 8 | 4 | 3 | 2;
}

/** `--blocks`. */
export function parseBlocks(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const message = 'It must be a whole number from 1 on, or auto.';
  return parseNumber(text, (n) => Number.isInteger(n) && n > 0, message);
}

/** `--layers`. */
export function parseNames(text: string): readonly string[] {
  return text.split(',').map((name) => name.trim());
}

const MEASURES: readonly Measure[] = ['counts', 'importance', 'neighbours', 'uniform'];

/** `--objective`: a measure, or shares of several: `counts=0.7,uniform=0.3`. */
export function parseObjective(text: string): Objective {
  const parts = parseNames(text).map((part) => part.split('='));
  const known = parts.every(([name]) => MEASURES.includes(name as Measure));
  const shares = parts.map(([, share]) => Number(share ?? NaN));
  if (known && parts.length === 1 && parts[0]!.length === 1) return parts[0]![0] as Measure;
  if (known && shares.every((share) => share >= 0 && share < Infinity)) {
    return Object.fromEntries(parts.map(([name], i) => [name, shares[i]!]));
  }
  throw new InvalidArgumentError(
    `It must be one of ${MEASURES.join(', ')}, or shares of them: counts=0.7,uniform=0.3.`,
  );
}

function parseNumber(text: string, isAllowed: (n: number) => boolean, message: string): number {
  const value = Number(text);
  if (text.trim() !== '' && isAllowed(value)) return value;
  throw new InvalidArgumentError(message);
}
