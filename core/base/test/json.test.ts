import { canonicalJson, copyJson, printValue, readJson, toJson, writeJson } from '@espalier/base';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';

const tagLike = fc.constantFrom('$numberDouble', '$$numberDouble', '$', '__proto__', 'constructor');
const number = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, -0));
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('NaN', '-0.0', 'Infinity'));
const { plain } = fc.letrec((tie) => ({
  plain: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    number,
    text,
    fc.array(tie('plain'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(text, tagLike), tie('plain'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

describe('writeJson and readJson', () => {
  it('give back every plain value to the bit, with its order of keys', () => {
    fc.assert(
      fc.property(plain, fc.constantFrom(undefined, 2), (value, indent) => {
        const again = readJson(writeJson(value, 'value', indent));
        expect(again).toStrictEqual(value);
        expect(printValue(again)).toBe(printValue(value));
      }),
    );
  });

  it('write what JSON has as ever, and read what others wrote', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const value: unknown = JSON.parse(json);
        expect(writeJson(value)).toBe(JSON.stringify(value));
        expect(readJson(json)).toStrictEqual(JSON.parse(json));
      }),
    );
  });

  it('write NaN and infinities as MongoDB’s Extended JSON does', () => {
    expect(writeJson([NaN, Infinity, -Infinity, -0])).toBe(
      '[{"$numberDouble":"NaN"},{"$numberDouble":"Infinity"},{"$numberDouble":"-Infinity"},{"$numberDouble":"-0.0"}]',
    );
  });
});

class Point {}
const cycle: Record<string, unknown> = { a: 1 };
cycle['inner'] = [cycle];
const once = { a: 1 };

/** What JSON would drop or change: each by the place that the error names, and what it says. */
const LOST: readonly (readonly [string, unknown, RegExp])[] = [
  ['a Map', new Map([[1, 2]]), /class Map.*Object\.fromEntries\(map\)/],
  ['a Set', new Set([1]), /class Set.*\[\.\.\.set\]/],
  ['a Date', new Date(0), /class Date.*toISOString/],
  ['a class instance', new Point(), /class Point/],
  ['a typed array', new Float32Array(2), /class Float32Array/],
  ['an error', new Error('x'), /class Error/],
  ['a boxed number', Object(1), /class Number/],
  ['a function', () => 1, /a function/],
  ['a bigint', 3n, /3n, a bigint/],
  ['a symbol', Symbol('s'), /Symbol\(s\)/],
];

describe('what JSON cannot hold', () => {
  test.each(LOST)('%s is refused by its place', (_, value, says) => {
    for (const write of [writeJson, copyJson, canonicalJson]) {
      expect(() => write({ best: [{ loss: value }] }, 'json')).toThrow("'json.best.0.loss'");
      expect(() => write({ best: [{ loss: value }] }, 'json')).toThrow(says);
      expect(() => write(value, 'json')).toThrow('json/not-json');
    }
  });

  test.each<[string, unknown, string]>([
    ['undefined in an array', { a: [1, undefined] }, "'json.a.1'"],
    ['a hole in an array', { a: Object.assign(Array<number>(2), [1]) }, "'json.a.1'"],
    ['a property of an array', { a: Object.assign([1], { b: 2 }) }, "'json.a'"],
    ['a key that is a symbol', { a: { [Symbol('s')]: 1 } }, "'json.a'"],
    ['a cycle', cycle, "'json.inner.0'"],
    ['undefined alone', undefined, "'json'"],
  ])('%s is refused by its place', (_, value, place) => {
    for (const write of [writeJson, copyJson, canonicalJson]) {
      expect(() => write(value, 'json')).toThrow(place);
    }
  });

  it('takes the name that a function says of itself, as factories of plugins do', () => {
    const factory = Object.assign(() => 1, { toJSON: () => '@espalier/plugin-prune#prune' });
    const silent = Object.assign(() => 1, { toJSON: () => undefined });
    expect(writeJson({ use: factory })).toBe('{"use":"@espalier/plugin-prune#prune"}');
    expect(() => writeJson({ use: silent })).toThrow("'value.use'");
  });

  it('leaves out undefined properties, and takes the same object twice', () => {
    expect(writeJson({ a: undefined, b: [once, once] })).toBe('{"b":[{"a":1},{"a":1}]}');
  });
});

describe('canonicalJson and toJson', () => {
  it('tell NaN and infinities apart, 0 and −0 not', () => {
    const texts = [NaN, Infinity, -Infinity, null, 'NaN', 0].map((value) =>
      canonicalJson({ value }),
    );
    expect(new Set(texts).size).toBe(texts.length);
    expect(canonicalJson([-0])).toBe(canonicalJson([0]));
  });

  it('keep numbers as they are in memory, and report what has no form', () => {
    const inline: string[] = [];
    const made = toJson({ b: Infinity, a: () => 1 }, 'options', (path) => inline.push(path));
    expect(made).toStrictEqual({ a: 'inline', b: Infinity });
    expect(inline).toEqual(['options.a']);
  });
});

test('nesting has an end, in writing, reading and printing', () => {
  const nest = (levels: number) => {
    let value: unknown = 1;
    for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
    return value;
  };
  expect(readJson(writeJson(nest(500)))).toEqual(nest(500));
  expect(() => writeJson(nest(501), 'state')).toThrow(/'state\.[\w.]+…' .* deeper than 500 levels/);
  const text = '[{"a":'.repeat(50_000) + '1' + '}]'.repeat(50_000);
  expect(() => readJson(text)).toThrow(/deeper than 500 levels/);
  expect(printValue(nest(5000))).toContain('…');
});

test('printValue shows anything, for people', () => {
  const value = { n: [NaN, -Infinity, -0, 1n], m: new Map(), u: [undefined], f: () => 1, cycle };
  expect(printValue(value)).toBe(
    '{"n":[NaN,-Infinity,-0,1n],"m":Map,"u":[undefined],"f":function,"cycle":{"a":1,"inner":[cycle]}}',
  );
  fc.assert(
    fc.property(fc.json(), (json) => {
      const plainValue: unknown = JSON.parse(json);
      expect(printValue(plainValue, 2)).toBe(JSON.stringify(plainValue, null, 2));
    }),
  );
});
