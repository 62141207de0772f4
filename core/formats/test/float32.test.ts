import { readFileSync } from 'node:fs';
import { decodeSafetensors } from '@espalier/checkpoint';
import type { HostTensor } from '@espalier/checkpoint';
import { toFloat32 } from '@espalier/formats';
import { describe, expect, test } from 'vitest';

/** By the definition: sign, exponent, fraction. */
function value(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> fractionBits;
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

describe.each([
  ['F16', 5, 10],
  ['BF16', 8, 7],
] as const)('%s', (dtype, exponentBits, fractionBits) => {
  test('every one of its values is exact', () => {
    const data = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const wide = toFloat32({ dtype, shape: [65536], data });
    const wrong = data.filter(
      (bits) => !Object.is(wide[bits], value(bits, exponentBits, fractionBits)),
    );
    expect([...wrong]).toEqual([]);
  });

  test('PyTorch widens to the same bits', () => {
    const path = new URL(`./golden/values-${dtype.toLowerCase()}.safetensors`, import.meta.url);
    const { tensors } = decodeSafetensors(readFileSync(path));
    const [narrow, wide] = [tensors.get('narrow')!, tensors.get('wide')!];
    expect(narrow.dtype).toBe(dtype);
    expect(toFloat32(narrow)).toEqual(wide.data);
  });
});

test.each<[HostTensor['dtype'], HostTensor['data'], number[]]>([
  ['F64', Float64Array.of(0.1, 1e300, -0), [Math.fround(0.1), Infinity, -0]],
  ['I64', BigInt64Array.of(-(2n ** 63n), 3n), [-(2 ** 63), 3]],
  ['U64', BigUint64Array.of(2n ** 64n - 1n), [2 ** 64]],
  ['I32', Int32Array.of(-5), [-5]],
  ['U32', Uint32Array.of(2 ** 32 - 1), [2 ** 32]],
  ['I16', Int16Array.of(-32768), [-32768]],
  ['U16', Uint16Array.of(65535), [65535]],
  ['I8', Int8Array.of(-128), [-128]],
  ['U8', Uint8Array.of(255), [255]],
  ['BOOL', Uint8Array.of(0, 1), [0, 1]],
])('%s', (dtype, data, expected) => {
  expect([...toFloat32({ dtype, shape: [data.length], data })]).toEqual(expected);
});

test('F32 is not copied', () => {
  const data = Float32Array.of(1e-45, NaN);
  expect(toFloat32({ dtype: 'F32', shape: [2], data })).toBe(data);
});
