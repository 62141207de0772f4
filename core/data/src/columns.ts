import type { NamedTensors } from '@espalier/base';
import { EspalierError, refuseForeignTensor, sha256Hex } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { DataType, Tensor } from '@tensorflow/tfjs-core';

/** Values on the host: `data` row by row, `shape` with the example axis first. */
export interface HostArray {
  /** Elements, row-major. */
  readonly data: Float32Array | Int32Array | Uint8Array;
  /** Sizes of the axes, examples first. */
  readonly shape: readonly number[];
}

/** Values on the host or on the device, or several by name. */
export type Arrays = HostArray | Tensor | Readonly<Record<string, HostArray | Tensor>>;

/** One of the arrays of a source, with what errors call it. */
export interface Column {
  readonly name: string;
  readonly array: HostArray | Tensor;
}

export function listColumns(what: string, arrays: Arrays | undefined): Column[] {
  if (!arrays) return [];
  if (isArray(arrays)) return [{ name: what, array: arrays }];
  return Object.entries(arrays).map(([key, array]) => ({ name: `${what}.${key}`, array }));
}

/** A tensor of each array, one or by the same names. */
export function mapArrays(
  what: string,
  arrays: Arrays,
  fn: (column: Column) => Tensor,
): Tensor | NamedTensors {
  if (isArray(arrays)) return fn({ name: what, array: arrays });
  return Object.fromEntries(
    Object.entries(arrays).map(([key, array]) => [key, fn({ name: `${what}.${key}`, array })]),
  );
}

function isArray(arrays: Arrays): arrays is HostArray | Tensor {
  return Array.isArray((arrays as HostArray).shape);
}

/**
 * Refuses an array that holds no numbers for its shape.
 *
 * @throws EspalierError `source/array`, `source/shape`, `source/disposed`, `session/two-tfjs`.
 */
export function checkColumn({ name, array }: Column): void {
  if (array instanceof tf.Tensor) {
    checkTensor(name, array);
    return;
  }
  const { data, shape } = (array ?? {}) as Partial<HostArray>;
  if (!Array.isArray(shape) || !ARRAYS.some((made) => data instanceof made)) {
    throw new EspalierError('source/array', {
      problem: `${name} must be a tensor, or { data, shape } with a Float32Array, Int32Array or Uint8Array`,
      received: data?.constructor?.name ?? data,
      fix: 'Convert it, e.g. Float32Array.from(values), or tf.tensor(values).',
    });
  }
  if (data!.length === shape.reduce((a, b) => a * b, 1)) return;
  throw new EspalierError('source/shape', {
    problem: `${name}: ${data!.length} values do not fill the shape`,
    received: shape,
  });
}

const ARRAYS = [Float32Array, Int32Array, Uint8Array];

function checkTensor(name: string, tensor: Tensor): void {
  if (tensor.isDisposed) throw disposedError(name);
  refuseForeignTensor(name, tensor);
  if (['float32', 'int32', 'bool'].includes(tensor.dtype)) return;
  throw new EspalierError('source/array', {
    problem: `${name} must be a tensor of dtype float32, int32 or bool`,
    received: tensor.dtype,
  });
}

function disposedError(name: string): EspalierError {
  return new EspalierError('source/disposed', {
    problem: `the tensor ${name} of the source is disposed`,
    fix: 'The source reads it in each epoch and does not dispose it: keep it until the session is disposed, and make it outside of tf.tidy.',
  });
}

/**
 * Some rows as a new tensor. Bytes and bool become int32.
 *
 * @throws EspalierError `source/disposed`.
 */
export function takeRows({ name, array }: Column, rows: Int32Array): Tensor {
  if (array instanceof tf.Tensor) return gatherRows(name, array, rows);
  const { data, shape } = array;
  const size = shape.slice(1).reduce((a, b) => a * b, 1);
  const dtype: DataType = data instanceof Float32Array ? 'float32' : 'int32';
  return tf.tensor(pickRows(data, rows, size), [rows.length, ...shape.slice(1)], dtype);
}

function gatherRows(name: string, tensor: Tensor, rows: Int32Array): Tensor {
  if (tensor.isDisposed) throw disposedError(name);
  return tf.tidy(() => {
    const numbers = tensor.dtype === 'bool' ? tf.cast(tensor, 'int32') : tensor;
    return tf.gather(numbers, tf.tensor1d(rows, 'int32'));
  });
}

function pickRows<T extends HostArray['data']>(data: T, rows: Int32Array, size: number): T {
  const out = new (data.constructor as new (n: number) => T)(rows.length * size);
  rows.forEach((row, i) => out.set(data.subarray(row * size, (row + 1) * size), i * size));
  return out;
}

/**
 * A hash of a column, the same on the host and on the device.
 *
 * @throws EspalierError `source/disposed`.
 */
export async function hashColumn({ name, array }: Column): Promise<string> {
  if (array instanceof tf.Tensor && array.isDisposed) throw disposedError(name);
  const data = array instanceof tf.Tensor ? await array.data() : array.data;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return `${name}[${array.shape.join(',')}]${data.constructor.name}:${await sha256Hex(bytes)}`;
}
