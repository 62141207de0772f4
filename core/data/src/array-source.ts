import { EspalierError, sha256Hex, suggest } from '@espalier/base';
import { Tensor } from '@tensorflow/tfjs-core';
import { checkColumn, hashColumn, listColumns, mapArrays, takeRows } from './columns.js';
import type { Arrays, Column, HostArray } from './columns.js';
import type { Source } from './source.js';

/** Options of {@link arraySource}. */
export interface ArraySourceOptions {
  /**
   * Inputs, examples first: arrays on the host (`Float32Array` becomes float32, integers become int32), or
   * tensors, which stay yours and must live as long as the source is used.
   */
  readonly x: Arrays;
  /** Targets: class ids `[examples]` (integers), or distributions or values. */
  readonly y?: Arrays;
  /** Weight of each example `[examples]`, or of each time step `[examples, time]`; 0 masks it out. */
  readonly weights?: Float32Array | HostArray | Tensor;
  /** Examples in a batch, at least 1. */
  readonly batchSize: number;
  /** New order each epoch; default true. */
  readonly shuffle?: boolean;
}

/**
 * Batches from arrays or tensors in memory, shuffled by a keyed permutation of each epoch. The last batch
 * may be smaller. The rows of a tensor are gathered on the device; its values are read once, for the
 * fingerprint, which is that of the same values on the host.
 *
 * @throws EspalierError `source/…`: `option`, `array`, `batch-size`, `shape`, `length`, `empty`, `disposed`;
 * `session/two-tfjs`.
 * @example
 * const train = arraySource({
 *   x: { data: pixels, shape: [2000, 28, 28, 1] },
 *   y: { data: labels, shape: [2000] },
 *   batchSize: 50,
 * });
 * const fromTensors = arraySource({ x: tf.randomNormal([2000, 4]), y: labels, batchSize: 50 });
 */
export function arraySource(options: ArraySourceOptions): Source {
  const { batchSize, shuffle = true, weights, ...rest } = options;
  const unknown = Object.keys(rest).find((key) => key !== 'x' && key !== 'y');
  if (unknown !== undefined) throw unknownOption(unknown);
  const given = { ...options, weights: weights && asArray(weights) };
  const columns = listAllColumns(given);
  const examples = checkColumns(columns, batchSize);
  const batchesPerEpoch = Math.ceil(examples / batchSize);
  return {
    batchesPerEpoch,
    settings: { batchSize, shuffle },
    fingerprint: fingerprintOf(columns),
    async *iterate({ skip, stream }) {
      const order = shuffle ? stream.permutation(examples) : range(examples);
      for (let i = skip; i < batchesPerEpoch; i++) {
        const rows = order.subarray(i * batchSize, (i + 1) * batchSize);
        const take = (what: string, arrays: Arrays) =>
          mapArrays(what, arrays, (column) => takeRows(column, rows));
        yield {
          x: take('x', given.x),
          ...(given.y && { y: take('y', given.y) }),
          ...(given.weights && { weights: take('weights', given.weights) as Tensor }),
        };
      }
    },
  };
}

type Given = Pick<ArraySourceOptions, 'x' | 'y'> & { readonly weights: Arrays | undefined };

function listAllColumns({ x, y, weights }: Given): Column[] {
  const inputs = x ? listColumns('x', x) : [{ name: 'x', array: {} as HostArray }];
  return [...inputs, ...listColumns('y', y), ...listColumns('weights', weights)];
}

function asArray(weights: Float32Array | HostArray | Tensor): HostArray | Tensor {
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
  const examples = columns[0]?.array.shape?.[0] ?? 0;
  for (const column of columns) {
    checkColumn(column);
    const { name, array } = column;
    if (array.shape[0] === examples) continue;
    throw new EspalierError('source/length', {
      problem: `${name} has ${array.shape[0]} examples, ${columns[0]!.name} has ${examples}`,
      fix: 'All arrays need the same first dimension.',
    });
  }
  if (examples > 0) return examples;
  throw new EspalierError('source/empty', {
    problem: 'the source has no examples',
    received: columns.map(({ name, array }) => `${name}: [${array.shape.join(', ')}]`).join('; '),
  });
}

/** Reads the values of tensors once: nobody can change them. */
function fingerprintOf(columns: readonly Column[]): () => Promise<string> {
  const read = new Map<Column, Promise<string>>();
  const hash = (column: Column) => {
    const found = read.get(column) ?? hashColumn(column);
    if (column.array instanceof Tensor) read.set(column, found);
    return found;
  };
  return async () =>
    sha256Hex(new TextEncoder().encode((await Promise.all(columns.map(hash))).join('\n')));
}

function range(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => i);
}
