import { EspalierError } from '@espalier/base';
import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';
import { invalidNpyError, readHeader, writeHeader } from './header.js';

// Written here because npm's kept readers of the format do not write it, nor check what a header
// claims. Typed arrays are little-endian, as most files are, on every platform that runs WebAssembly.
const TYPES = {
  f8: ['F64', Float64Array],
  i8: ['I64', BigInt64Array],
  u8: ['U64', BigUint64Array],
  f4: ['F32', Float32Array],
  i4: ['I32', Int32Array],
  u4: ['U32', Uint32Array],
  f2: ['F16', Uint16Array],
  i2: ['I16', Int16Array],
  u2: ['U16', Uint16Array],
  i1: ['I8', Int8Array],
  u1: ['U8', Uint8Array],
  b1: ['BOOL', Uint8Array],
} as const satisfies Readonly<Record<string, readonly [SafetensorsDtype, unknown]>>;

type ArrayType = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, at: number, length: number): HostTensor['data'];
};

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
  const { descr, fortranOrder, shape, start } = readHeader(bytes);
  const { dtype, Data, bigEndian } = parseType(descr);
  const width = Data.BYTES_PER_ELEMENT;
  const size = countElements(shape) * width;
  if (!Number.isSafeInteger(size) || bytes.length - start !== size) {
    throw invalidNpyError(
      `it has ${bytes.length - start} bytes of data where ${size} are described`,
    );
  }
  const raw = bytes.subarray(start);
  const view = bigEndian || raw.byteOffset % width !== 0 ? Uint8Array.from(raw) : raw;
  if (bigEndian) reverseEach(view, width);
  const data = new Data(view.buffer, view.byteOffset, size / width);
  return { dtype, shape, data: fortranOrder ? toRowMajor(data, shape) : data };
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
  const code = findTypeCode(dtype);
  if (!(data instanceof TYPES[code][1]) || data.length !== countElements(shape)) {
    throw new EspalierError('npy/entry', {
      problem: `the data do not fit ${dtype} [${shape.join(', ')}]`,
      received: `${data.length} elements in a ${data.constructor.name}`,
      fix: 'Give data of that dtype, one element per entry of the shape.',
    });
  }
  const header = writeHeader(`${data.BYTES_PER_ELEMENT === 1 ? '|' : '<'}${code}`, shape);
  const bytes = new Uint8Array(header.length + data.byteLength);
  bytes.set(header);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length);
  return bytes;
}

function parseType(descr: unknown) {
  const [, order, code] = /^([<>|])(\w\d)$/.exec(String(descr)) ?? [];
  if (!code || !Object.hasOwn(TYPES, code)) {
    throw new EspalierError('npy/dtype', {
      problem: 'the array has elements of a type that is not read',
      received: descr,
      fix: 'Save array.astype("float32"), or floats, integers or booleans of another width.',
    });
  }
  const [dtype, Data] = TYPES[code as keyof typeof TYPES];
  return { dtype, Data: Data as ArrayType, bigEndian: order === '>' };
}

function findTypeCode(dtype: SafetensorsDtype): keyof typeof TYPES {
  const found = Object.entries(TYPES).find(([, [name]]) => name === dtype);
  if (found) return found[0] as keyof typeof TYPES;
  throw new EspalierError('npy/dtype', {
    problem: 'NumPy has no such element type',
    received: dtype,
    fix: "Widen it first: { dtype: 'F32', shape, data: toFloat32(tensor) }.",
  });
}

function reverseEach(bytes: Uint8Array, width: number): void {
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}

/** Rearranges data whose first index runs fastest. */
function toRowMajor(data: HostTensor['data'], shape: readonly number[]): HostTensor['data'] {
  const from = data as Float64Array; // or any other: elements are moved as they are
  const to = from.slice();
  const strides = shape.map((_, axis) => countElements(shape.slice(0, axis)));
  const index = shape.map(() => 0);
  for (let i = 0, at = 0; i < to.length; i++) {
    to[i] = from[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return to;
}

function countElements(shape: readonly number[]): number {
  return shape.reduce((size, n) => size * n, 1);
}
