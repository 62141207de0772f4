import * as tf from '@tensorflow/tfjs-core';
import type { DataType, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { EspalierError, suggest } from '@espalier/errors';
import { sha256Hex } from './hash.js';
import type { NamedTensors } from '@espalier/model';
import type { Stream } from './random.js';

/** A batch as sources give it: one tensor, or several by the model's input or output names. */
export interface RawBatch {
  readonly x: Tensor | NamedTensors;
  readonly y?: Tensor | NamedTensors;
  /** Weight of each example `[batch]`; 0 masks it out. */
  readonly weights?: Tensor1D;
}

/** What a source is asked for. */
export interface IterateOptions {
  readonly epoch: number;
  /** Batches of this epoch to pass over: a resumed run has seen them. */
  readonly skip: number;
  /** Randomness of this epoch's order; the same in every run. */
  readonly stream: Stream;
}

/** Where batches come from. Equal `epoch` and `stream` must give equal batches in equal order. */
export interface Source {
  /** Identifies the data; a checkpoint made on other data is refused. */
  fingerprint(): Promise<string>;
  readonly batchesPerEpoch?: number;
  /** The batches of one epoch. The receiver disposes their tensors. */
  iterate(options: IterateOptions): AsyncIterable<RawBatch>;
}

/** Values on the host: `data` row by row, `shape` with the example axis first. */
export interface HostArray {
  readonly data: Float32Array | Int32Array | Uint8Array;
  readonly shape: readonly number[];
}

type Arrays = HostArray | Readonly<Record<string, HostArray>>;

/** Options of {@link arraySource}. */
export interface ArraySourceOptions {
  /** Inputs; `Float32Array` becomes float32, integers become int32. */
  readonly x: Arrays;
  /** Targets: class ids `[examples]` (integers), or distributions or values. */
  readonly y?: Arrays;
  /** Weight of each example; 0 masks it out. */
  readonly weights?: Float32Array;
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
  const columns = columnsOf(options);
  const examples = checkColumns(columns, batchSize);
  const batchesPerEpoch = Math.ceil(examples / batchSize);
  return {
    batchesPerEpoch,
    fingerprint: () => fingerprintOf(columns),
    async *iterate({ skip, stream }) {
      const order = shuffle ? stream.permutation(examples) : range(examples);
      for (let i = skip; i < batchesPerEpoch; i++) {
        const rows = order.subarray(i * batchSize, (i + 1) * batchSize);
        const take = (arrays: Arrays) => mapArrays(arrays, (array) => takeRows(array, rows));
        yield {
          x: take(options.x),
          ...(options.y && { y: take(options.y) }),
          ...(weights && { weights: tf.tensor1d(pick(weights, rows, 1)) }),
        };
      }
    },
  };
}

/** Options of {@link iterableSource}. */
export interface IterableSourceOptions {
  /** Identifies the data; change it when the data change. */
  readonly fingerprint: string;
  readonly batchesPerEpoch?: number;
}

/**
 * Batches from one's own generator. `open` is called once per epoch and must give the same batches
 * for the same epoch and stream; the framework passes over those that a resumed run has seen. What
 * never ends never ends an epoch: end the fit with its signal.
 *
 * @throws EspalierError `source/not-a-factory`, `source/fingerprint`; while iterating
 * `source/failed`, `source/batch`.
 * @example
 * const source = iterableSource(async function* ({ stream }) { … }, { fingerprint: 'corpus-v1' });
 */
export function iterableSource(
  open: (options: Omit<IterateOptions, 'skip'>) => AsyncIterable<RawBatch> | Iterable<RawBatch>,
  options: IterableSourceOptions,
): Source {
  if (typeof open !== 'function') throw notAFactory('iterableSource', open);
  const { fingerprint, batchesPerEpoch } = options ?? {};
  if (typeof fingerprint !== 'string') throw noFingerprint(fingerprint);
  return {
    fingerprint: () => Promise.resolve(fingerprint),
    ...(batchesPerEpoch !== undefined && { batchesPerEpoch }),
    async *iterate({ epoch, stream, skip }) {
      let index = 0;
      try {
        for await (const batch of open({ epoch, stream })) {
          if (!isTensorLike(batch?.x)) throw notABatch(batch);
          if (index++ < skip) disposeRaw(batch);
          else yield batch;
        }
      } catch (cause) {
        throw failed(`${fingerprint}: batch ${index} of epoch ${epoch}`, cause);
      }
    },
  };
}

/** The part of `tf.data.Dataset` that is used. */
export interface DatasetLike {
  forEachAsync?(fn: (value: never) => void): Promise<void>;
  iterator(): Promise<{ next(): Promise<{ value: unknown; done?: boolean }> }>;
}

/**
 * Batches from a `tf.data.Dataset` of `{ xs, ys }`, opened anew each epoch by a factory. A dataset
 * as such is refused: each of its iterators advances its shuffle, so no run could be resumed.
 *
 * @example
 * const source = datasetSource(({ epoch }) => csv.shuffle(1000, String(epoch)).batch(32), {
 *   fingerprint: 'boston-2024',
 * });
 */
export function datasetSource(
  open: (options: {
    readonly epoch: number;
    readonly stream: Stream;
  }) => DatasetLike | Promise<DatasetLike>,
  options: IterableSourceOptions,
): Source {
  if (typeof open !== 'function') throw notAFactory('datasetSource', open);
  return iterableSource(async function* (epoch) {
    const iterator = await (await open(epoch)).iterator();
    for (let item = await iterator.next(); !item.done; item = await iterator.next()) {
      const { xs, ys } = item.value as { xs: RawBatch['x']; ys?: RawBatch['y'] };
      if (!isTensorLike(xs)) throw notAnElement(item.value);
      yield { x: xs, ...(ys && { y: ys }) };
    }
  }, options);
}

/** Disposes all tensors of a raw batch. */
export function disposeRaw({ x, y, weights }: RawBatch): void {
  tf.dispose([x, y, weights] as unknown as Tensor[]);
}

function notAFactory(name: string, received: unknown): EspalierError {
  return new EspalierError('source/not-a-factory', {
    problem: `${name} takes a function that opens the data anew for each epoch`,
    received,
    fix: `Write ${name}(({ epoch, stream }) => …, { fingerprint: '…' }).`,
  });
}

function noFingerprint(received: unknown): EspalierError {
  return new EspalierError('source/fingerprint', {
    problem: 'a source needs a fingerprint, by which a resumed run knows its data',
    received,
    fix: "Pass { fingerprint: 'corpus-v1' } and change it when the data change.",
  });
}

/** A tensor, or something that may hold tensors by name. */
function isTensorLike(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notABatch(received: unknown): EspalierError {
  tf.dispose(received as tf.TensorContainer);
  return new EspalierError('source/batch', {
    problem: 'a batch must be { x, y?, weights? }, each a tensor or tensors by name',
    received: keysOf(received),
    fix: 'Yield { x: tf.tensor(…), y: tf.tensor(…) }.',
  });
}

function notAnElement(received: unknown): EspalierError {
  tf.dispose(received as tf.TensorContainer);
  return new EspalierError('source/batch', {
    problem: 'the elements of the dataset must be { xs, ys }',
    received: keysOf(received),
    fix: 'Map them: dataset.map(({ … }) => ({ xs: …, ys: … })).batch(32).',
  });
}

function keysOf(value: unknown): unknown {
  return isTensorLike(value) && !(value instanceof tf.Tensor)
    ? Object.keys(value as object)
    : value;
}

function failed(place: string, cause: unknown): EspalierError {
  if (cause instanceof EspalierError) return cause;
  return new EspalierError('source/failed', {
    problem: `the source failed at ${place}: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: 'The error is in the function that opens the data; its own stack is in cause.',
    cause,
  });
}

interface Column extends HostArray {
  readonly name: string;
}

function columnsOf({ x, y, weights }: ArraySourceOptions): Column[] {
  const named = (what: string, arrays?: Arrays): Column[] => {
    if (!arrays) return what === 'x' ? [{ name: 'x' } as Column] : [];
    if (isHostArray(arrays)) return [{ name: what, ...arrays }];
    return Object.entries(arrays).map(([key, array]) => ({ name: `${what}.${key}`, ...array }));
  };
  const weightColumn = weights && [{ name: 'weights', data: weights, shape: [weights.length] }];
  return [...named('x', x), ...named('y', y), ...(weightColumn ?? [])];
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

async function fingerprintOf(columns: readonly Column[]): Promise<string> {
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
  return tf.tensor(pick(data, rows, size), [rows.length, ...shape.slice(1)], dtype);
}

function pick<T extends HostArray['data']>(data: T, rows: Int32Array, size: number): T {
  const out = new (data.constructor as new (n: number) => T)(rows.length * size);
  rows.forEach((row, i) => out.set(data.subarray(row * size, (row + 1) * size), i * size));
  return out;
}

function range(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => i);
}
