import { keyedRng } from '@espalier/base';
import { gram } from '@espalier/linalg';
import { backendsUnderTest, onBackend, tensorsLeakedBy } from '@espalier/testkit';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { gramByDefinition, matrix } from './reference.js';

const draw = keyedRng('gram');
const weights = Array.from({ length: 50 }, (_, i) => 10 ** (i % 7));

describe.each(backendsUnderTest())('Gram matrix on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  const close = (actual: Float64Array, expected: Float64Array, share: number) => {
    expect(actual).toHaveLength(expected.length);
    const largest = Math.max(...expected.map(Math.abs));
    actual.forEach((value, at) =>
      expect(Math.abs(value - expected[at]!)).toBeLessThanOrEqual(share * largest),
    );
  };
  const all = Array.from({ length: 50 }, (_, i) => i);

  test.each([1, 5, 64, 97, 130, 200])('%i columns', async (columns) => {
    const a = matrix(50, columns, () => draw() - 0.5);
    const expected = gramByDefinition(a, all, weights);
    close(await gram(a, { weights }), expected, 1e-6);
    close(await gram(a, { weights, chunkRows: 7 }), expected, 1e-6);
    close(await gram(a, { weights, precision: 'double' }), expected, 1e-14);
  });

  test('is symmetric to the bit, over the selected rows', async () => {
    const a = matrix(50, 130, () => draw() - 0.5);
    const rows = [4, 4, 17, 0, 49];
    const sum = await gram(a, { select: Int32Array.from(rows) });
    close(sum, gramByDefinition(a, rows), 1e-6);
    for (let i = 0; i < 130; i++) {
      for (let j = 0; j < i; j++) expect(sum[i * 130 + j]).toBe(sum[j * 130 + i]);
    }
  });

  test('of no row is zero', async () => {
    const a = matrix(3, 2, () => 1);
    expect(await gram(a, { select: new Int32Array(0) })).toEqual(new Float64Array(4));
  });

  test('leaves no tensor behind, and lets timers run between chunks', async () => {
    const a = matrix(3000, 20, () => draw() - 0.5);
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 1000)); // every chunk is slow
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const leaked = await tensorsLeakedBy(async () => void (await gram(a, { chunkRows: 100 })));
    clearInterval(timer);
    clock.mockRestore();
    expect(leaked).toBe(0);
    expect(turns).toBeGreaterThan(0);
  });
});
