import { readFileSync } from 'node:fs';
import { EspalierError } from '@espalier/base';
import { decodeSafetensors, encodeSafetensors } from '@espalier/checkpoint';
import type { HostTensor } from '@espalier/checkpoint';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { broken, bytesOf, metadata, tensorMap } from './arbitraries.js';

const named = (tensors: ReadonlyMap<string, HostTensor>) =>
  [...tensors].map(([name, tensor]) => ({ name, ...tensor }));

const f32 = (name: string, values: number[]) =>
  ({ name, dtype: 'F32', shape: [values.length], data: new Float32Array(values) }) as const;

/** A file with this header text and so many bytes of data. */
function fileOf(header: string | Uint8Array, dataBytes: number, claimed?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

const outcomeOf = (file: Uint8Array) => {
  try {
    return decodeSafetensors(file);
  } catch (error) {
    return error;
  }
};

describe('round trip', () => {
  test('keeps names, shapes, dtypes, every bit and the metadata', () => {
    fc.assert(
      fc.property(tensorMap, metadata, fc.nat(7), (tensors, meta, shift) => {
        const file = encodeSafetensors(named(tensors), meta);
        const moved = new Uint8Array(file.length + shift).subarray(shift); // any alignment
        moved.set(file);
        const decoded = decodeSafetensors(moved);
        expect(decoded.metadata).toEqual(meta);
        expect(new Set(decoded.tensors.keys())).toEqual(new Set(tensors.keys()));
        for (const [name, tensor] of tensors) {
          const read = decoded.tensors.get(name)!;
          expect(read.dtype).toBe(tensor.dtype);
          expect(read.shape).toEqual(tensor.shape);
          expect(read.data.constructor).toBe(tensor.data.constructor);
          expect(bytesOf(read)).toEqual(bytesOf(tensor));
        }
      }),
      { seed: 1 },
    );
  });

  test('aligned tensors are views of the file, not copies', () => {
    const file = encodeSafetensors([f32('a', [1]), f32('b', [2, 3])]);
    const { tensors } = decodeSafetensors(file);
    expect([...tensors.values()].map(({ data }) => data.buffer)).toEqual([
      file.buffer,
      file.buffer,
    ]);
    expect(tensors.get('b')!.data).toEqual(new Float32Array([2, 3]));
  });
});

test('null is no metadata, as for the reference implementation', () => {
  const { metadata: read, tensors } = decodeSafetensors(fileOf('{"__metadata__":null}', 0));
  expect([read, tensors.size]).toEqual([{}, 0]);
});

test('reads a file that the reference implementation wrote', () => {
  const path = new URL('./golden/safetensors.golden.json', import.meta.url);
  const golden = JSON.parse(readFileSync(path, 'utf8'));
  const { tensors, metadata: read } = decodeSafetensors(Buffer.from(golden.file, 'base64'));
  const text = ({ shape, ...rest }: HostTensor) => ({
    shape,
    bytes: Buffer.from(bytesOf({ shape, ...rest })).toString('base64'),
  });
  expect(read).toEqual(golden.metadata);
  expect(Object.fromEntries([...tensors].map(([name, t]) => [name, text(t)]))).toEqual(
    golden.tensors,
  );
  const kinds = ['encoder/kernel', '7', 'mask', 'codes', 'halves', 'wide'];
  expect(kinds.map((name) => tensors.get(name)!.dtype)).toEqual(
    ['F32', 'I32', 'BOOL', 'U8', 'F16', 'I64'], // prettier-ignore
  );
});

test('a broken file gives a whole structure or an EspalierError, never anything else', () => {
  const file = encodeSafetensors(
    [
      f32('a', [1, 2, 3]),
      { name: 'ж', dtype: 'U8', shape: [2], data: new Uint8Array(2) },
      { name: 'none', dtype: 'I32', shape: [0], data: new Int32Array(0) },
    ],
    { note: 'x: "y"' },
  );
  fc.assert(
    fc.property(broken(file), (bad) => {
      const outcome = outcomeOf(bad);
      if (outcome instanceof EspalierError) {
        expect(outcome.code).toBe('safetensors/invalid');
        return;
      }
      const { tensors } = outcome as ReturnType<typeof decodeSafetensors>;
      for (const { shape, data } of tensors.values()) {
        expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
      }
    }),
    { seed: 2, numRuns: 3000 },
  );
});

describe('refuses, without believing the header,', () => {
  const entry = (fields: string) => `{"a":{${fields}}}`;
  const good = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';
  const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /shorter than the 8 bytes/],
    ['a header longer than the file', fileOf('{}', 0, 3n), /header of 3 bytes and has 2/],
    ['an absurd header length', fileOf('{}', 0, 2n ** 64n - 1n), /18446744073709551615/],
    ['no JSON', fileOf('{"a":', 0), /not JSON/],
    ['a JSON array', fileOf('[]', 0), /not a JSON object/],
    ['a JSON null', fileOf('null', 0), /not a JSON object/],
    ['leading blanks', fileOf(' {}', 0), /not a JSON object/],
    ['no UTF-8', fileOf(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), 0), /not UTF-8/],
    ['endless nesting', fileOf(deep, 0), /not described by/],
    [
      'an unknown dtype',
      fileOf(entry(good.replace('F32', 'F3')), 8),
      /unknown dtype \(F3\); known: F64, .*BOOL/,
    ],
    ['an inherited dtype', fileOf(entry(good.replace('F32', 'toString')), 8), /unknown dtype/],
    ['a negative dimension', fileOf(entry(good.replace('[2]', '[-2]')), 8), /list of counts/],
    ['a broken dimension', fileOf(entry(good.replace('[2]', '[0.5]')), 8), /list of counts/],
    [
      'a shape of 2^60 elements',
      fileOf(entry(good.replace('[2]', '[1073741824,1073741824]')), 8),
      /needs/,
    ],
    [
      'a shape beyond all numbers',
      fileOf(entry(good.replace('[2]', `[${Array(40).fill(1e15)}]`)), 8),
      /needs/,
    ],
    [
      'offsets that do not fit the shape',
      fileOf(entry(good.replace('8]', '4]')), 4),
      /needs 8 bytes and is given 4/,
    ],
    ['offsets running backwards', fileOf(entry(good.replace('[0,8]', '[8,0]')), 8), /given -8/],
    ['three offsets', fileOf(entry(good.replace('[0,8]', '[0,8,8]')), 8), /two data offsets/],
    ['a field too many', fileOf(entry(`${good},"x":1`), 8), /not described by/],
    ['data cut short', fileOf(entry(good), 7), /7 bytes of data where 8 are described/],
    ['data appended', fileOf(entry(good), 9), /9 bytes of data where 8 are described/],
    ['a gap', fileOf(entry(good.replace('[0,8]', '[1,9]')), 9), /begins at byte 1, not at 0/],
    [
      'an overlap',
      fileOf(`{"a":{${good}},"b":{${good.replace('[0,8]', '[4,12]')}}}`, 12),
      /begins at byte 4, not at 8/,
    ],
    ['one place for two', fileOf(`{"a":{${good}},"b":{${good}}}`, 8), /begins at byte 0, not at 8/],
    ['a name twice', fileOf(`{"a":{${good}},"a":{${good}}}`, 8), /names something twice/],
    ['a name twice, once escaped', fileOf(`{"a":{${good}},"\\u0061":{${good}}}`, 8), /twice/],
    ['a field twice', fileOf(entry(`"dtype":"I64",${good}`), 8), /twice/],
    ['a prototype key', fileOf(`{"__proto__":{${good}}}`, 8), /reserved name/],
    [
      'a prototype key in the metadata',
      fileOf('{"__metadata__":{"__proto__":"x"}}', 0),
      /metadata/,
    ],
    ['metadata that are no strings', fileOf('{"__metadata__":{"a":1}}', 0), /metadata/],
    ['metadata that are a list', fileOf('{"__metadata__":["a"]}', 0), /metadata/],
  ])('%s', (_what, file, problem) => {
    const error = outcomeOf(file);
    expect(error).toBeInstanceOf(EspalierError);
    expect(error).toMatchObject({
      code: 'safetensors/invalid',
      message: expect.stringMatching(problem),
    });
  });
});

describe('encoding refuses', () => {
  test.each([
    ['a name twice', [f32('a', [1]), f32('a', [2])], /taken or reserved/],
    ['a reserved name', [f32('__metadata__', [1])], /taken or reserved/],
    ['data of another length', [{ ...f32('a', [1]), shape: [2] }], /do not fit F32 \[2\]/],
    ['data of another type', [{ ...f32('a', [1]), dtype: 'I32' as const }], /do not fit I32 \[1\]/],
    [
      'an unknown dtype',
      [{ ...f32('a', [1]), dtype: 'F4' as 'F32' }],
      /dtype that the format lacks/,
    ],
  ])('%s', (_what, entries, problem) => {
    expect(() => encodeSafetensors(entries)).toThrow(problem);
  });
});
