import { matches } from '@espalier/base';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';

describe('matches', () => {
  test.each<[string, string, boolean]>([
    ['dense_1', 'dense_1', true],
    ['dense_1', 'dense_10', false],
    ['dense_1', 'my_dense_1', false],
    ['Dense', 'dense', false],
    ['', '', true],
    ['*', '', true],
    ['*', 'decoder/kernel', true],
    ['decoder/*', 'decoder/dense/kernel', true],
    ['decoder/*', 'decoder', false],
    ['*/bias', 'decoder/dense/bias', true],
    ['*/bias', 'bias', false],
    ['conv*_bn', 'conv2_block1_bn', true],
    ['conv*_bn', 'conv2_block1_bn_relu', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['ab*ba', 'aba', false],
    ['a**b', 'ab', true],
    ['conv.1', 'conv_1', false],
    ['[ab]', 'a', false],
    ['u0?', 'u0', false],
    ['a*', 'a\nb', true],
  ])('%j and %j: %s', (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it('takes a list, of which any pattern may fit', () => {
    expect(matches(['dense', 'conv*'], 'conv_1')).toBe(true);
    expect(matches(['dense', 'conv*'], 'pool')).toBe(false);
    expect(matches([], 'pool')).toBe(false);
  });

  it('agrees with a regular expression in which * is .*', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 8 });
    fc.assert(
      fc.property(text, text, (pattern, name) => {
        const regexp = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
        expect(matches(pattern, name)).toBe(regexp.test(name));
      }),
    );
  });
});
