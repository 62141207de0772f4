import { EspalierError } from '@espalier/base';
import { arrayTypeOf, countElements } from '@espalier/checkpoint';
import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';
import { reverseEach } from '../reverse-each.js';
import { columnMajor, gather, rowMajor } from '../strided.js';
import { invalidNpyError, readHeader, writeHeader } from './header.js';

// Written here because npm's kept readers of the format do not write it, nor check what a header
// claims.
const DTYPES = {
  f8: 'F64',
  i8: 'I64',
  u8: 'U64',
  f4: 'F32',
  i4: 'I32',
  u4: 'U32',
  f2: 'F16',
  i2: 'I16',
  u2: 'U16',
  i1: 'I8',
  u1: 'U8',
  b1: 'BOOL',
} as const satisfies Readonly<Record<string, SafetensorsDtype>>;

/** What the beginning of a `.npy` file says of its array. */
export interface NpyLayout extends Omit<HostTensor, 'data'> {
  /** Byte at which the data begin. */
  readonly start: number;
  readonly bigEndian: boolean;
  /** Elements from one index to the next, for each axis. */
  readonly strides: readonly number[];
}

/**
 * Decodes a NumPy `.npy` file of version 1, 2 or 3: floats of 16 to 64 bits, integers of 8 to 64, bool.
 * Big-endian values and arrays in Fortran order are rearranged; others are views of `bytes` where
 * alignment allows. What the header claims is checked before anything is allocated.
 *
 * @returns the array, row-major.
 * @throws EspalierError `npy/invalid` on whatever is not exactly such a file, `npy/dtype` on
 * elements of another type.
 * @see https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 * @example
 * const { shape, data } = decodeNpy(bytes);
 */
export function decodeNpy(bytes: Uint8Array): HostTensor {
  const { dtype, shape, start, bigEndian, strides } = readNpyLayout(bytes, bytes.length);
  const Data = arrayTypeOf(dtype);
  const width = Data.BYTES_PER_ELEMENT;
  const raw = bytes.subarray(start);
  const view = bigEndian || raw.byteOffset % width !== 0 ? Uint8Array.from(raw) : raw;
  if (bigEndian) reverseEach(view, width);
  const data = new Data(view.buffer, view.byteOffset, raw.length / width);
  const inOrder = strides.join() === rowMajor(shape).join();
  return { dtype, shape, data: inOrder ? data : gather(dtype, data, shape, strides) };
}

/**
 * What the beginning of a `.npy` file says, checked against the size of the file.
 *
 * @param start The first bytes of the file: {@link NPY_START} of them, or all.
 */
export function readNpyLayout(start: Uint8Array, size: number): NpyLayout {
  const { descr, fortranOrder, shape, start: begin } = readHeader(start, size);
  const { dtype, bigEndian } = parseType(descr);
  const expected = countElements(shape) * arrayTypeOf(dtype).BYTES_PER_ELEMENT;
  if (!Number.isSafeInteger(expected) || size - begin !== expected) {
    throw invalidNpyError(`it has ${size - begin} bytes of data where ${expected} are described`);
  }
  const strides = fortranOrder ? columnMajor(shape) : rowMajor(shape);
  return { dtype, shape, start: begin, bigEndian, strides };
}

/**
 * What stands in front of the data of a `.npy` file of version 1, little-endian and in C order.
 *
 * @throws EspalierError `npy/dtype` on BF16, which NumPy lacks.
 */
export function encodeNpyHeader(dtype: SafetensorsDtype, shape: readonly number[]): Uint8Array {
  const order = arrayTypeOf(dtype).BYTES_PER_ELEMENT === 1 ? '|' : '<';
  return writeHeader(`${order}${findTypeCode(dtype)}`, shape);
}

/**
 * Encodes a tensor as a NumPy `.npy` file of version 1, little-endian and in C order.
 *
 * @throws EspalierError `npy/dtype` on BF16, which NumPy lacks; `npy/entry` on data that do not fit
 * dtype and shape.
 * @example
 * const bytes = encodeNpy({ dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) });
 */
export function encodeNpy({ dtype, shape, data }: HostTensor): Uint8Array {
  const header = encodeNpyHeader(dtype, shape);
  if (!(data instanceof arrayTypeOf(dtype)) || data.length !== countElements(shape)) {
    throw new EspalierError('npy/entry', {
      problem: `the data do not fit ${dtype} [${shape.join(', ')}]`,
      received: `${data.length} elements in a ${data.constructor.name}`,
      fix: 'Give data of that dtype, one element per entry of the shape.',
    });
  }
  const bytes = new Uint8Array(header.length + data.byteLength);
  bytes.set(header);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length);
  return bytes;
}

function parseType(descr: unknown) {
  const [, order, code] = /^([<>|])(\w\d)$/.exec(String(descr)) ?? [];
  if (!code || !Object.hasOwn(DTYPES, code)) {
    throw new EspalierError('npy/dtype', {
      problem: 'the array has elements of a type that is not read',
      received: descr,
      fix: 'Save array.astype("float32"), or floats, integers or booleans of another width.',
    });
  }
  return { dtype: DTYPES[code as keyof typeof DTYPES], bigEndian: order === '>' };
}

function findTypeCode(dtype: SafetensorsDtype): string {
  const found = Object.entries(DTYPES).find(([, name]) => name === dtype);
  if (found) return found[0];
  throw new EspalierError('npy/dtype', {
    problem: 'NumPy has no such element type',
    received: dtype,
    fix: "Widen it first: { dtype: 'F32', shape, data: toFloat32(tensor) }.",
  });
}
