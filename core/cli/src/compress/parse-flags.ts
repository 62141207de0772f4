import { InvalidArgumentError } from 'commander';

/** `--ratio`. */
export function parseRatio(text: string): number {
  return parseNumber(
    text,
    Number(text),
    (n) => n > 1 && n < Infinity,
    'It must be a number above 1.',
  );
}

/** `--max-error`. */
export function parseShare(text: string): number {
  return parseNumber(text, Number(text), (n) => n > 0 && n < 1, 'It must lie between 0 and 1.');
}

/** `--bits`. */
export function parseBits(text: string): number | 'none' {
  if (text === 'none') return text;
  return parseNumber(
    text,
    Number(text),
    (n) => [8, 4, 3, 2].includes(n),
    'It must be 8, 4, 3, 2 or none.',
  );
}

/** `--blocks`. */
export function parseBlocks(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const isPositiveInteger = (n: number) => Number.isInteger(n) && n > 0;
  return parseNumber(
    text,
    Number(text),
    isPositiveInteger,
    'It must be a whole number from 1 on, or auto.',
  );
}

/** `--layers`. */
export function parseNames(text: string): readonly string[] {
  return text.split(',').map((name) => name.trim());
}

function parseNumber(
  text: string,
  value: number,
  allowed: (value: number) => boolean,
  message: string,
): number {
  if (text.trim() !== '' && allowed(value)) return value;
  throw new InvalidArgumentError(message);
}
