import type { NamedTensors } from '@espalier/base';
import { EspalierError, sha256Hex, suggest } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { DataType, Tensor } from '@tensorflow/tfjs-core';
import type { Source } from './source.js';

/** Values on the host: `data` row by row, `shape` with the example axis first. */
export interface HostArray {
  /** Elements, row-major. */
  readonly data: Float32Array | Int32Array | Uint8Array;
  /** Sizes of the axes, examples first. */
  readonly shape: readonly number[];
}

type Arrays = HostArray | Readonly<Record<string, HostArray>>;

/** Options of {@link arraySource}. */
export interface ArraySourceOptions {
  /** Inputs; `Float32Array` becomes float32, integers become int32. */
  readonly x: Arrays;
  /** Targets: class ids `[examples]` (integers), or distributions or values. */
  readonly y?: Arrays;
  /** Weight of each example, or `{ data, shape: [examples, time] }` of each time step; 0 masks it out. */
  readonly weights?: Float32Array | HostArray;
  /** Examples in a batch, at least 1. */
  readonly batchSize: number;
  /** New order each epoch; default true. */
  readonly shuffle?: boolean;
}

/**
 * Batches from arrays in memory, shuffled by a keyed permutation of each epoch. The last batch may
 * be smaller.
 *
 * @throws EspalierError `source/…`: `option`, `array`, `batch-size`, `shape`, `length`, `empty`.
 * @example
 * const train = arraySource({
 *   x: { data: pixels, shape: [2000, 28, 28, 1] },
 *   y: { data: labels, shape: [2000] },
 *   batchSize: 50,
 * });
 */
export function arraySource(options: ArraySourceOptions): Source {
  const { batchSize, shuffle = true, weights, ...rest } = options;
  const unknown = Object.keys(rest).find((key) => key !== 'x' && key !== 'y');
  if (unknown !== undefined) throw unknownOption(unknown);
  const columns = listColumns(options);
  const examples = checkColumns(columns, batchSize);
  const batchesPerEpoch = Math.ceil(examples / batchSize);
  return {
    batchesPerEpoch,
    fingerprint: () => computeFingerprint(columns),
    async *iterate({ skip, stream }) {
      const order = shuffle ? stream.permutation(examples) : range(examples);
      for (let i = skip; i < batchesPerEpoch; i++) {
        const rows = order.subarray(i * batchSize, (i + 1) * batchSize);
        const take = (arrays: Arrays) => mapArrays(arrays, (array) => takeRows(array, rows));
        yield {
          x: take(options.x),
          ...(options.y && { y: take(options.y) }),
          ...(weights && { weights: takeRows(asArray(weights), rows) }),
        };
      }
    },
  };
}

interface Column extends HostArray {
  readonly name: string;
}

function listColumns({ x, y, weights }: ArraySourceOptions): Column[] {
  const toColumns = (what: string, arrays?: Arrays): Column[] => {
    if (!arrays) return what === 'x' ? [{ name: 'x' } as Column] : [];
    if (isHostArray(arrays)) return [{ name: what, ...arrays }];
    return Object.entries(arrays).map(([key, array]) => ({ name: `${what}.${key}`, ...array }));
  };
  const weightColumn = weights && [{ name: 'weights', ...asArray(weights) }];
  return [...toColumns('x', x), ...toColumns('y', y), ...(weightColumn ?? [])];
}

function asArray(weights: Float32Array | HostArray): HostArray {
  return 'shape' in weights ? weights : { data: weights, shape: [weights.length] };
}

function unknownOption(name: string): EspalierError {
  return new EspalierError('source/option', {
    problem: `arraySource has no option '${name}'`,
    fix: suggest(name, ['x', 'y', 'weights', 'batchSize', 'shuffle']),
  });
}

function checkColumns(columns: readonly Column[], batchSize: number): number {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new EspalierError('source/batch-size', {
      problem: 'batchSize must be a positive integer',
      received: batchSize,
    });
  }
  const examples = columns[0]?.shape?.[0] ?? 0;
  for (const { name, data, shape } of columns) {
    if (!Array.isArray(shape) || !ARRAYS.some((made) => data instanceof made)) {
      throw new EspalierError('source/array', {
        problem: `${name} must be { data, shape } with a Float32Array, Int32Array or Uint8Array`,
        received: data?.constructor?.name ?? data,
        fix: 'Convert it, e.g. Float32Array.from(values).',
      });
    }
    if (data.length !== shape.reduce((a, b) => a * b, 1)) {
      throw new EspalierError('source/shape', {
        problem: `${name}: ${data.length} values do not fill the shape`,
        received: shape,
      });
    }
    if (shape[0] !== examples) {
      throw new EspalierError('source/length', {
        problem: `${name} has ${shape[0]} examples, ${columns[0]!.name} has ${examples}`,
        fix: 'All arrays need the same first dimension.',
      });
    }
  }
  if (examples > 0) return examples;
  throw new EspalierError('source/empty', {
    problem: 'the source has no examples',
    received: columns.map(({ name, shape }) => `${name}: [${shape.join(', ')}]`).join('; '),
  });
}

async function computeFingerprint(columns: readonly Column[]): Promise<string> {
  const parts = columns.map(async ({ name, data, shape }) => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return `${name}[${shape.join(',')}]${data.constructor.name}:${await sha256Hex(bytes)}`;
  });
  return sha256Hex(new TextEncoder().encode((await Promise.all(parts)).join('\n')));
}

const ARRAYS = [Float32Array, Int32Array, Uint8Array];

function isHostArray(arrays: Arrays): arrays is HostArray {
  return Array.isArray((arrays as HostArray).shape);
}

function mapArrays(arrays: Arrays, fn: (array: HostArray) => Tensor): Tensor | NamedTensors {
  if (isHostArray(arrays)) return fn(arrays);
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, fn(array)]));
}

function takeRows({ data, shape }: HostArray, rows: Int32Array): Tensor {
  const size = shape.slice(1).reduce((a, b) => a * b, 1);
  const dtype: DataType = data instanceof Float32Array ? 'float32' : 'int32';
  return tf.tensor(pickRows(data, rows, size), [rows.length, ...shape.slice(1)], dtype);
}

function pickRows<T extends HostArray['data']>(data: T, rows: Int32Array, size: number): T {
  const out = new (data.constructor as new (n: number) => T)(rows.length * size);
  rows.forEach((row, i) => out.set(data.subarray(row * size, (row + 1) * size), i * size));
  return out;
}

function range(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => i);
}
