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

function parseNumber(text: string, isAllowed: (n: number) => boolean, message: string): number {
  const value = Number(text);
  if (text.trim() !== '' && isAllowed(value)) return value;
  throw new InvalidArgumentError(message);
}
