import { readFileSync } from 'node:fs';
import { EspalierError } from '@espalier/base';
import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';
import { decodeNpy, encodeNpy } from '@espalier/formats';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { broken } from './broken.js';

interface Golden {
  readonly file: string;
  readonly shape: readonly number[];
  readonly kind: string;
  readonly bytes: string;
}

const golden = JSON.parse(
  readFileSync(new URL('./golden/npy.golden.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Golden>>;

const KINDS: Readonly<Record<string, SafetensorsDtype>> = {
  f16: 'F16',
  f32: 'F32',
  f64: 'F64',
  i8: 'I8',
  i16: 'I16',
  i32: 'I32',
  i64: 'I64',
  u8: 'U8',
  u16: 'U16',
  u32: 'U32',
  u64: 'U64',
  b8: 'BOOL',
};
const ARRAYS = {
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  F32: Float32Array,
  I32: Int32Array,
  U32: Uint32Array,
  F16: Uint16Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

const bytesOf = ({ data }: HostTensor) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

/** A file of version 1 with this header. */
function fileOf(header: string, dataBytes: number, length = header.length): Uint8Array {
  const start = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8);
  return Uint8Array.from([...start, ...Buffer.from(header), ...new Uint8Array(dataBytes)]);
}

const outcomeOf = (file: Uint8Array) => {
  try {
    return decodeNpy(file);
  } catch (error) {
    return error;
  }
};

test.each(Object.entries(golden))('reads what NumPy wrote: %s', (_name, { file, ...expected }) => {
  const tensor = decodeNpy(Uint8Array.from(Buffer.from(file, 'base64')));
  expect({ shape: tensor.shape, dtype: tensor.dtype, bytes: base64(bytesOf(tensor)) }).toEqual({
    shape: expected.shape,
    dtype: KINDS[expected.kind],
    bytes: expected.bytes,
  });
});

test('writes the bytes that NumPy writes', () => {
  for (const name of [
    'float <f4',
    'integer i1',
    'integer <u8',
    'bool',
    'scalar',
    'vector',
    'empty',
  ]) {
    const { file } = golden[name]!;
    const bytes = Uint8Array.from(Buffer.from(file, 'base64'));
    expect(base64(encodeNpy(decodeNpy(bytes)))).toBe(file);
  }
});

const tensor = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(ARRAYS) as (keyof typeof ARRAYS)[])),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const bytes = shape.reduce((a, b) => a * b, ARRAYS[dtype].BYTES_PER_ELEMENT);
    return fc
      .uint8Array({ minLength: bytes, maxLength: bytes })
      .map((raw): HostTensor => ({ dtype, shape, data: new ARRAYS[dtype](raw.slice().buffer) }));
  });

test('a round trip keeps every bit, at any alignment', () => {
  fc.assert(
    fc.property(tensor, fc.nat(7), (before, shift) => {
      const file = encodeNpy(before);
      const moved = new Uint8Array(file.length + shift).subarray(shift);
      moved.set(file);
      const after = decodeNpy(moved);
      expect([after.dtype, after.shape]).toEqual([before.dtype, before.shape]);
      expect(after.data.constructor).toBe(before.data.constructor);
      expect(bytesOf(after)).toEqual(bytesOf(before));
    }),
    { seed: 1 },
  );
});

test('data that are aligned are a view of the file', () => {
  const file = encodeNpy({ dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) });
  expect(decodeNpy(file).data.buffer).toBe(file.buffer);
});

test('a broken file gives a whole array or an EspalierError', () => {
  const columns = Uint8Array.from(
    Buffer.from(golden['columns first, three dimensions']!.file, 'base64'),
  );
  fc.assert(
    fc.property(broken(columns), (bad) => {
      const outcome = outcomeOf(bad);
      if (outcome instanceof EspalierError) {
        expect(outcome.code).toMatch(/^npy\/(invalid|dtype)$/);
        return;
      }
      const { shape, data } = outcome as HostTensor;
      expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
      expect(data.byteLength).toBeLessThan(bad.length);
    }),
    { seed: 2, numRuns: 3000 },
  );
});

test('any header at all gives an array of what is there or an EspalierError', () => {
  const part = fc.constantFrom(
    ...['{', '}', "'descr'", "'shape'", "'fortran_order'", ': ', ', ', "'<f4'", "'>i2'", "'|O'"],
    ...['True', 'False', '(2,)', '(', ')', '9007199254740993', '-1', '1e9', 'None', '[', ']', '\\'],
  );
  const header = fc.oneof(
    fc.array(part, { maxLength: 20 }).map((parts) => parts.join('')),
    fc
      .tuple(fc.array(fc.nat(2 ** 31), { maxLength: 5 }), fc.string({ unit: 'grapheme' }))
      .map(
        ([shape, descr]) => `{'descr': '${descr}', 'fortran_order': True, 'shape': (${shape},)}`,
      ),
  );
  fc.assert(
    fc.property(header, fc.nat(16), (text, dataBytes) => {
      const outcome = outcomeOf(fileOf(text, dataBytes, Buffer.byteLength(text)));
      if (outcome instanceof EspalierError) return;
      expect((outcome as HostTensor).data.byteLength).toBe(dataBytes);
    }),
    { seed: 3, numRuns: 3000 },
  );
});

describe('refuses', () => {
  const header = (changes: Readonly<Record<string, string>> = {}) => {
    const fields = { descr: "'<f4'", fortran_order: 'False', shape: '(2,)', ...changes };
    return `{${Object.entries(fields)
      .map(([key, value]) => `'${key}': ${value}`)
      .join(', ')}}\n`;
  };
  const good = fileOf(header(), 8);

  test('nothing of a sound file', () => {
    expect(decodeNpy(good)).toEqual({ dtype: 'F32', shape: [2], data: new Float32Array(2) });
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /NumPy's mark/],
    ['a file that ends in its length', good.subarray(0, 9), /ends before its header/],
    ['an unknown version', Uint8Array.from(good, (b, i) => (i === 6 ? 4 : b)), /version 4/],
    ['a header longer than the file', fileOf(header(), 8, 9000), /header of 9000 bytes and has/],
    ['a header beyond NumPy’s limit', fileOf(' '.repeat(20_000), 0), /header of 20000 bytes/],
    ['no dict', fileOf('(1, 2)', 0), /does not hold/],
    ['no literal', fileOf('__import__("os")', 0), /not a dict/],
    ['a missing key', fileOf("{'descr': '<f4'}", 0), /does not hold/],
    ['a key too many', fileOf(header({ x: '1' }), 8), /does not hold/],
    ['no boolean', fileOf(header({ fortran_order: '0' }), 8), /fortran_order/],
    ['a negative dimension', fileOf(header({ shape: '(-2,)' }), 8), /tuple/],
    [
      'a dimension beyond all numbers',
      fileOf(header({ shape: `(${'9'.repeat(400)},)` }), 8),
      /tuple/,
    ],
    [
      'a shape of 2^62 elements',
      fileOf(header({ shape: '(2147483648, 2147483648)' }), 8),
      /described/,
    ],
    ['too many dimensions', fileOf(header({ shape: `(${'1, '.repeat(65)})` }), 4), /tuple/],
    ['data cut short', good.subarray(0, good.length - 1), /7 bytes of data where 8/],
    ['data appended', Uint8Array.from([...good, 0]), /9 bytes of data where 8/],
    ['objects', fileOf(header({ descr: "'|O'" }), 8), /not read/],
    ['records', fileOf(header({ descr: "[('a', '<f4')]" }), 8), /not read/],
    ['complex numbers', fileOf(header({ descr: "'<c8'" }), 16), /not read/],
  ])('%s', (_what, file, problem) => {
    const error = outcomeOf(file);
    expect(error).toBeInstanceOf(EspalierError);
    expect((error as Error).message).toMatch(problem);
  });

  test.each<[string, HostTensor, string]>([
    ['BF16', { dtype: 'BF16', shape: [1], data: new Uint16Array(1) }, 'npy/dtype'],
    [
      'data of another length',
      { dtype: 'F32', shape: [2], data: new Float32Array(1) },
      'npy/entry',
    ],
    ['data of another type', { dtype: 'F32', shape: [1], data: new Int32Array(1) }, 'npy/entry'],
  ])('to write %s', (_what, entry, code) => {
    expect(() => encodeNpy(entry)).toThrow(expect.objectContaining({ code }));
  });
});
