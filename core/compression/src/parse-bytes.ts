const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/**
 * The bytes that a text such as `10MB`, `512 KiB` or `30000` means; `undefined` if it is not a size above 0.
 *
 * @example
 * parseBytes('1.5 kB'); // 1500
 */
export function parseBytes(text: string): number | undefined {
  const [, number, unit = 'B'] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)?\s*$/.exec(text) ?? [];
  const known = Object.keys(UNITS).find((name) => name.toLowerCase() === unit.toLowerCase());
  if (number === undefined || known === undefined) return undefined;
  const bytes = Number(number) * UNITS[known]!;
  return bytes > 0 ? bytes : undefined;
}
