import { arrayTypeOf, countElements } from '@espalier/checkpoint';
import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';

/** Distances of a tensor whose last index runs fastest. */
export function rowMajor(shape: readonly number[]): readonly number[] {
  return shape.map((_, axis) => countElements(shape.slice(axis + 1)));
}

/** Distances of a tensor whose first index runs fastest. */
export function columnMajor(shape: readonly number[]): readonly number[] {
  return shape.map((_, axis) => countElements(shape.slice(0, axis)));
}

/** The elements from the first to the last one of a tensor, with those between; 0 of an empty one. */
export function measureSpan(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((span, n, axis) => span + (n - 1) * strides[axis]!, 1);
}

/** Calls `visit` with the place of each element, in row-major order of their indices. */
export function visitPlaces(
  shape: readonly number[],
  strides: readonly number[],
  visit: (from: number) => void,
): void {
  if (shape.includes(0)) return;
  const walk = (axis: number, begin: number): void => {
    if (axis === shape.length) return visit(begin);
    const [n, stride] = [shape[axis]!, strides[axis]!];
    for (let i = 0; i < n; i++) walk(axis + 1, begin + i * stride);
  };
  walk(0, 0);
}

/** Elements that lie at regular distances, row-major. */
export function gather(
  dtype: SafetensorsDtype,
  data: HostTensor['data'],
  shape: readonly number[],
  strides: readonly number[],
): HostTensor['data'] {
  const from = data as Float64Array; // or any other: elements are moved as they are
  const out = makeElements(dtype, countElements(shape));
  let to = 0;
  visitPlaces(shape, strides, (place) => {
    out[to++] = from[place]!;
  });
  return out;
}

/** Room for elements, typed as one kind of array: they are moved as they are. */
export function makeElements(dtype: SafetensorsDtype, size: number): Float64Array {
  const Data = arrayTypeOf(dtype);
  return new Data(new ArrayBuffer(size * Data.BYTES_PER_ELEMENT)) as Float64Array;
}
