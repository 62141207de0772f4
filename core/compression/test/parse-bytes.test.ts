import { parseBytes } from '@espalier/compression';
import { expect, test } from 'vitest';

test.each<[string, number | undefined]>([
  ['10MB', 10_000_000],
  [' 1.5 kB ', 1500],
  ['512KiB', 524_288],
  ['2 gib', 2 ** 31],
  ['30000', 30_000],
  ['0MB', undefined],
  ['-1MB', undefined],
  ['1e6', undefined],
  ['MB', undefined],
  ['', undefined],
])('a size written as %j', (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});
