import { InvalidArgumentError } from 'commander';

/** `--ratio`. */
export function ratio(text: string): number {
  return within(text, Number(text), (n) => n > 1 && n < Infinity, 'It must be a number above 1.');
}

/** `--max-error`. */
export function share(text: string): number {
  return within(text, Number(text), (n) => n > 0 && n < 1, 'It must lie between 0 and 1.');
}

/** `--bits`. */
export function bits(text: string): number | 'none' {
  if (text === 'none') return text;
  return within(
    text,
    Number(text),
    (n) => [8, 4, 3, 2].includes(n),
    'It must be 8, 4, 3, 2 or none.',
  );
}

/** `--blocks`. */
export function blocks(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const allowed = (n: number) => Number.isInteger(n) && n > 0;
  return within(text, Number(text), allowed, 'It must be a whole number from 1 on, or auto.');
}

/** `--layers`. */
export function names(text: string): readonly string[] {
  return text.split(',').map((name) => name.trim());
}

function within(
  text: string,
  value: number,
  allowed: (value: number) => boolean,
  message: string,
): number {
  if (text.trim() !== '' && allowed(value)) return value;
  throw new InvalidArgumentError(message);
}
