import { EspalierError } from '@espalier/base';
import { holm, pairedDifference, summary } from '@espalier/study';
import { expect, test } from 'vitest';

const base = [1, 2, 3];

test.each<[string, () => unknown, RegExp]>([
  ['no values', () => summary([]), /values holds no numbers.*study\/no-values/],
  ['no pairs', () => pairedDifference([], []), /values holds no numbers.*study\/no-values/],
  ['no base', () => pairedDifference([1], []), /base holds no numbers.*study\/no-values/],
  ['NaN', () => summary([1, NaN]), /values\[1\].*Received: NaN.*study\/not-finite/],
  ['∞ in values', () => pairedDifference([1, 2, Infinity], base), /values\[2\].*Infinity/],
  ['−∞ in base', () => pairedDifference(base, [-Infinity, 2, 3]), /base\[0\].*-Infinity/],
  ['too large', () => summary([1.1e300]), /values\[0\].*study\/not-finite/],
  [
    'unpaired',
    () => pairedDifference([1, 2], base),
    /same length.*Received: \[2,3\].*study\/pairs/,
  ],
  ['confidence 0', () => summary(base, { confidence: 0 }), /study\/confidence/],
  ['confidence 1', () => summary(base, { confidence: 1 }), /study\/confidence/],
  ['confidence 95', () => pairedDifference(base, base, { confidence: 95 }), /Received: 95/],
  ['confidence NaN', () => summary(base, { confidence: NaN }), /NaN.*study\/confidence/],
  ['resamples 999', () => pairedDifference(base, base, { resamples: 999 }), /study\/resamples/],
  ['resamples 1e4 + ½', () => pairedDifference(base, base, { resamples: 1e4 + 0.5 }), /10000\.5/],
  ['p NaN', () => holm([0.5, NaN]), /p\[1\].*Received: NaN.*study\/p-value/],
  ['p above 1', () => holm([1.01]), /p\[0\].*study\/p-value/],
  ['p below 0', () => holm([0, -0.1]), /p\[1\].*study\/p-value/],
])('%s', (_, act, message) => {
  expect(act).toThrow(EspalierError);
  expect(act).toThrow(message);
});
