import { attribute, EspalierError, parseOptions } from '@espalier/base';
import { expect, test } from 'vitest';
import { z } from 'zod';

const schema = z.strictObject({
  bits: z.int().min(2).default(8),
  layers: z.record(z.string(), z.strictObject({ rank: z.int() })).default({}),
  codebook: z.union([z.literal(false), z.strictObject({ columns: z.int() })]).default(false),
});
const parse = (value: unknown) => parseOptions("plugin 'x'", schema, value);

test('parseOptions fills in defaults', () => {
  expect(parse({})).toEqual({ bits: 8, layers: {}, codebook: false });
});

test.each<[unknown, RegExp]>([
  [{ bit: 4 }, /plugin 'x': unknown option 'bit'\. Did you mean 'bits'\?/],
  [{ bits: 'four' }, /option 'bits': expected .*, received "four"/],
  [{ bits: 1 }, /option 'bits': .*2.*, received 1/],
  [{ layers: { fc: { ranks: 3 } } }, /unknown option 'layers\.fc\.ranks'\. Did you mean 'rank'\?/],
  [{ codebook: { colums: 3 } }, /unknown option 'codebook\.colums'\. Did you mean 'columns'\?/],
  [() => 1, /options: expected object, received a function/],
  [{ bits: null, codebook: 1 }, /'bits': .*received null; option 'codebook': .*received 1/],
])('parseOptions refuses %o by its field', (value, says) => {
  expect(() => parse(value)).toThrow(says);
  expect(() => parse(value)).toThrow(expect.objectContaining({ code: 'options/invalid' }));
});

const place = { plugin: 'p', hook: 'loss', step: 3 };

test('attribute gives the plugin, hook and step to whatever was thrown', () => {
  const cause = new TypeError('x is not a function');
  const wrapped = attribute(cause, place);
  expect(wrapped.message).toBe('[plugin p] loss at step 3: x is not a function. (plugin/threw)');
  expect(wrapped.cause).toBe(cause);
  expect(attribute('text', place).code).toBe('plugin/threw');
});

test('attribute keeps the code of an error, and the place that it has', () => {
  const own = new EspalierError('a/b', { problem: 'wrong' });
  const placed = attribute(own, place);
  expect([placed.code, placed.place]).toEqual(['a/b', place]);
  expect(attribute(placed, { plugin: 'q', hook: 'batch' })).toBe(placed);
});
