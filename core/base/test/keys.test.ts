import { keyedRng, sha256Hex } from '@espalier/base';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';

const draws = (...key: readonly (string | number)[]) => {
  const rng = keyedRng(...key);
  return [rng(), rng(), rng()];
};

describe('keyedRng', () => {
  it('draws by its key alone, in [0, 1)', () => {
    const key = fc.array(fc.oneof(fc.string(), fc.nat()), { maxLength: 4 });
    fc.assert(
      fc.property(key, key, (first, second) => {
        expect(draws(...first)).toEqual(draws(...first));
        expect(draws(...first).every((draw) => draw >= 0 && draw < 1)).toBe(true);
        const same = JSON.stringify(first) === JSON.stringify(second);
        expect(String(draws(...first)) === String(draws(...second))).toBe(same);
      }),
    );
  });

  it('tells parts of a key apart by place and by type', () => {
    const keys = [['ab'], ['a', 'b'], ['b', 'a'], ['1'], [1], []];
    expect(new Set(keys.map((key) => String(draws(...key)))).size).toBe(keys.length);
  });

  it('keeps its draws from release to release: checkpoints and studies rest on them', () => {
    expect(draws(0, 'model', 'dense_1', 'kernel')).toMatchInlineSnapshot(`
      [
        0.21933519165031612,
        0.6280684992671013,
        0.753273791866377,
      ]
    `);
    expect([...keyedRng(0, 'order', 1).permutation(6)]).toMatchInlineSnapshot(`
      [
        1,
        3,
        0,
        4,
        5,
        2,
      ]
    `);
  });

  test.each([0, 1, 2, 57])('permutation(%i) holds each number once', (n) => {
    const order = keyedRng('permutation').permutation(n);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  });
});

test.each([
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
])('sha256Hex of %j is that of FIPS 180-4', async (text, expected) => {
  expect(await sha256Hex(new TextEncoder().encode(text))).toBe(expected);
});
