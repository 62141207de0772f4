import { EspalierError } from '@espalier/base';
import type { HostTensor } from '@espalier/checkpoint';

/**
 * The values of a tensor of any dtype as 32-bit floats, in the same order. F32 data are given back as
 * they are, not copied. F16, BF16, BOOL and integers of up to 16 bits are exact, subnormals, signed
 * zeros, infinities and NaN included; F64 and wider integers are rounded.
 *
 * @throws EspalierError `float32/dtype` on F8, whose values need a scale, and on complex numbers.
 *
 * @example
 * const half = { dtype: 'F16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) } as const;
 * toFloat32(half); // Float32Array [1, -2]
 */
export function toFloat32({ dtype, data }: HostTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (/^(F8|C64)/.test(dtype)) throw noNumbersError(dtype);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return Float32Array.from(data as ArrayLike<bigint>, Number);
  }
  if (dtype === 'F16') return fromHalf(data as Uint16Array);
  if (dtype === 'BF16') return fromBfloat16(data as Uint16Array);
  return new Float32Array(data as ArrayLike<number>);
}

/**
 * Whether a tensor's elements are floats of 16 bits or more, numbers by themselves.
 *
 * @example
 * isFloat({ dtype: 'BF16', shape: [2], data: new Uint16Array(2) }); // true
 */
export function isFloat({ dtype }: HostTensor): boolean {
  return ['F64', 'F32', 'F16', 'BF16'].includes(dtype);
}

function noNumbersError(received: string): EspalierError {
  return new EspalierError('float32/dtype', {
    problem: 'the elements are no numbers by themselves',
    received,
    fix: 'Decode them with the tool that wrote them, and save F32, F16 or BF16.',
  });
}

/** Exponent and fraction move to their places in a float32; 2¹¹² is what the two biases differ by. */
function fromHalf(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!;
    words[i] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13);
    if ((half & 0x7c00) === 0x7c00) words[i]! |= 0x7f800000;
    else values[i]! *= 2 ** 112;
  }
  return values;
}

/** A bfloat16 is the upper half of a float32. */
function fromBfloat16(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
  return new Float32Array(words.buffer);
}
