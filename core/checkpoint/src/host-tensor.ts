// Typed arrays are little-endian, as the format of safetensors is, on every platform that runs
// JavaScript engines with WebAssembly.
const ARRAYS = {
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  C64: BigUint64Array,
  F32: Float32Array,
  I32: Int32Array,
  U32: Uint32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  F8_E8M0: Uint8Array,
  BOOL: Uint8Array,
} as const;

/**
 * Element types of the format. F16 and BF16 are their bits in a Uint16Array, F8 in a Uint8Array, C64 in
 * a BigUint64Array.
 */
export type SafetensorsDtype = keyof typeof ARRAYS;

/** A tensor on the host; `data` has one element per entry of `shape`, row-major. */
export interface HostTensor {
  /** Type of the elements, by its name in safetensors. */
  readonly dtype: SafetensorsDtype;
  /** Sizes of the axes; `[]` for a scalar. */
  readonly shape: readonly number[];
  /** The elements, row-major; F16 and BF16 as their bits in a `Uint16Array`. */
  readonly data: (typeof ARRAYS)[SafetensorsDtype]['prototype'];
}

type ArrayType = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, at?: number, length?: number): HostTensor['data'];
};

/** Names of the element types. */
export const DTYPES = Object.keys(ARRAYS) as readonly SafetensorsDtype[];

/**
 * The typed array that holds elements of a type.
 *
 * @example
 * arrayTypeOf('BF16'); // Uint16Array
 */
export function arrayTypeOf(dtype: SafetensorsDtype): ArrayType {
  return ARRAYS[dtype];
}

/** Elements of a shape; not finite, or beyond all safe integers, where there are too many. */
export function countElements(shape: readonly number[]): number {
  return shape.reduce((size, n) => size * n, 1);
}
