import { EspalierError, isPlain } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { disposeRaw } from './source.js';
import type { IterateOptions, RawBatch, Source } from './source.js';

/** Options of {@link iterableSource}. */
export interface IterableSourceOptions {
  /** Identifies the data; change it when the data change. */
  readonly fingerprint: string;
  /** Batches in an epoch, where the number is known. */
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
  if (typeof open !== 'function') throw notAFactoryError('iterableSource', open);
  const { fingerprint, batchesPerEpoch } = options ?? {};
  if (typeof fingerprint !== 'string') throw noFingerprintError(fingerprint);
  return {
    fingerprint: () => Promise.resolve(fingerprint),
    ...(batchesPerEpoch !== undefined && { batchesPerEpoch }),
    async *iterate({ epoch, stream, skip }) {
      let index = 0;
      try {
        for await (const batch of open({ epoch, stream })) {
          if (!isTensorLike(batch?.x)) {
            const problem = 'a batch must be { x, y?, weights? }, each a tensor or tensors by name';
            throw badBatchError(batch, problem, 'Yield { x: tf.tensor(…), y: tf.tensor(…) }.');
          }
          if (index++ < skip) disposeRaw(batch);
          else yield batch;
        }
      } catch (cause) {
        throw sourceFailedError(`${fingerprint}: batch ${index} of epoch ${epoch}`, cause);
      }
    },
  };
}

/** The part of `tf.data.Dataset` that is used. */
export interface DatasetLike {
  /** Tells a dataset from other objects with an iterator. */
  forEachAsync?(fn: (value: never) => void): Promise<void>;
  /** Opens the dataset. */
  iterator(): Promise<{ next(): Promise<{ value: unknown; done?: boolean }> }>;
}

/**
 * Batches from a `tf.data.Dataset` of `{ xs, ys }`, opened anew each epoch by a factory. A dataset
 * as such is refused: each of its iterators advances its shuffle, so no run could be resumed.
 *
 * @throws EspalierError `source/not-a-factory`, `source/fingerprint`; while iterating `source/failed`,
 * `source/batch`.
 * @example
 * const source = datasetSource(({ epoch }) => csv.shuffle(1000, String(epoch)).batch(32), {
 *   fingerprint: 'boston-2024',
 * });
 */
export function datasetSource(
  open: (options: Omit<IterateOptions, 'skip'>) => DatasetLike | Promise<DatasetLike>,
  options: IterableSourceOptions,
): Source {
  if (typeof open !== 'function') throw notAFactoryError('datasetSource', open);
  return iterableSource(async function* (epoch) {
    const iterator = await (await open(epoch)).iterator();
    for (let item = await iterator.next(); !item.done; item = await iterator.next()) {
      const { xs, ys } = item.value as { xs: RawBatch['x']; ys?: RawBatch['y'] };
      if (xs === undefined || xs === null) {
        const fix = 'Map them: dataset.map(({ … }) => ({ xs: …, ys: … })).batch(32).';
        throw badBatchError(item.value, 'the elements of the dataset must be { xs, ys }', fix);
      }
      if (!isBatched(xs) || (ys !== undefined && !isBatched(ys))) {
        const problem = 'the dataset is not batched: its elements are single examples';
        throw badBatchError(item.value, problem, 'End it in .batch(32).');
      }
      yield { x: xs, ...(ys && { y: ys }) };
    }
  }, options);
}

function notAFactoryError(name: string, received: unknown): EspalierError {
  return new EspalierError('source/not-a-factory', {
    problem: `${name} takes a function that opens the data anew for each epoch`,
    received,
    fix: `Write ${name}(({ epoch, stream }) => …, { fingerprint: '…' }).`,
  });
}

function noFingerprintError(received: unknown): EspalierError {
  return new EspalierError('source/fingerprint', {
    problem: 'a source needs a fingerprint, by which a resumed run knows its data',
    received,
    fix: "Pass { fingerprint: 'corpus-v1' } and change it when the data change.",
  });
}

/** A tensor with an axis of examples, or such tensors by name. */
function isBatched(value: unknown): boolean {
  if (value instanceof tf.Tensor) return value.rank > 0;
  return isPlain(value) && Object.values(value).every(isBatched);
}

/** A tensor, or something that may hold tensors by name. */
function isTensorLike(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badBatchError(received: unknown, problem: string, fix: string): EspalierError {
  tf.dispose(received as tf.TensorContainer);
  return new EspalierError('source/batch', { problem, received: describeValue(received), fix });
}

function describeValue(value: unknown): unknown {
  return isTensorLike(value) && !(value instanceof tf.Tensor)
    ? Object.keys(value as object)
    : value;
}

function sourceFailedError(place: string, cause: unknown): EspalierError {
  if (cause instanceof EspalierError) return cause;
  return new EspalierError('source/failed', {
    problem: `the source failed at ${place}: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: 'The error is in the function that opens the data; its own stack is in cause.',
    cause,
  });
}
