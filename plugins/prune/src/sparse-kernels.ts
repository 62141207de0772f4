import { writeElements } from '@espalier/backend';
import { checkRows } from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { setBits } from './bitmap.js';

/** Names in the registry of tfjs: rows from values, and its transpose, values from rows. */
const ROWS = 'EspalierSparseRows';
const VALUES = 'EspalierSparseValues';

/** Where the kept numbers are, and which rows are meant. */
interface Positions {
  readonly bitmap: Tensor;
  readonly starts: Tensor;
  readonly rows: Tensor;
}

/** Rows and columns of the whole matrix; of the transpose also how many numbers are kept. */
interface Size {
  readonly rows: number;
  readonly columns: number;
}
interface KeptSize extends Size {
  readonly kept: number;
}

/**
 * Rows by number `[n]` of a pruned matrix, as float32 `[n, columns]`: one pass over the bits of these
 * rows. Differentiable in `values`, any number of times.
 *
 * @throws EspalierError `storage/row` on cpu and wasm for a row that there is not.
 */
export function sparseRows(inputs: Positions & { readonly values: Tensor }, size: Size): Tensor2D {
  return tf.engine().runKernel(ROWS, inputs as never, size as never) as Tensor2D;
}

/** The transpose: `dy` `[n, columns]` summed where each kept number stands, `[kept]`. */
function sparseValues(inputs: Positions & { readonly dy: Tensor }, size: KeptSize): Tensor1D {
  return tf.engine().runKernel(VALUES, inputs as never, size as never) as Tensor1D;
}

/**
 * Makes the kernels known: loops over the memory itself on cpu and wasm, whose division of integers
 * is inexact from 2^24 on; compositions of integer ops elsewhere.
 */
export function registerKernels(): void {
  for (const backend of ['cpu', 'wasm']) register(backend, rowsInMemory, valuesInMemory);
  for (const backend of ['tensorflow', 'webgpu', 'webgl']) {
    register(backend, composedRows, composedValues);
  }
  tf.registerGradient({
    kernelName: ROWS,
    inputsToSave: ['values', 'bitmap', 'starts', 'rows'],
    gradFunc(dy, [values, bitmap, starts, rows], attrs) {
      const size = { ...(attrs as unknown as Size), kept: values!.size };
      const inputs = { dy: dy as Tensor, bitmap: bitmap!, starts: starts!, rows: rows! };
      return { values: () => sparseValues(inputs, size) };
    },
  });
  tf.registerGradient({
    kernelName: VALUES,
    inputsToSave: ['bitmap', 'starts', 'rows'],
    gradFunc(dy, [bitmap, starts, rows], attrs) {
      const inputs = { values: dy as Tensor, bitmap: bitmap!, starts: starts!, rows: rows! };
      return { dy: () => sparseRows(inputs, attrs as unknown as Size) };
    },
  });
}

function register(backendName: string, ofRows: Kernel, ofValues: Kernel): void {
  for (const [kernelName, kernel] of [
    [ROWS, ofRows],
    [VALUES, ofValues],
  ] as const) {
    const kernelFunc = kernel as unknown as tf.KernelFunc;
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  }
}

/** A kernel with its inputs and attributes as they are handed over. */
type Kernel = (call: {
  readonly inputs: Positions & { readonly values: Tensor; readonly dy: Tensor };
  readonly attrs: KeptSize;
  readonly backend: object;
}) => tf.TensorInfo;

const rowsInMemory: Kernel = ({ inputs, attrs, backend }) => {
  const { values, bitmap, starts, rows } = inputs;
  const { columns } = attrs;
  const sources = [values, bitmap, starts, rows];
  return writeElements(backend, 'float32', [rows.size, columns], sources, (target, ...from) => {
    const [numbers, words, begins, ids] = from as Memory;
    const kept = new Int32Array(columns);
    target.fill(0);
    checkRows(ids, attrs.rows);
    for (let i = 0; i < ids.length; i++) {
      const count = setBits(kept, words, ids[i]! * columns, columns);
      const begin = begins[ids[i]!]!;
      for (let k = 0; k < count; k++) target[i * columns + kept[k]!] = numbers[begin + k]!;
    }
  });
};

const valuesInMemory: Kernel = ({ inputs, attrs, backend }) => {
  const { dy, bitmap, starts, rows } = inputs;
  const { columns } = attrs;
  const sources = [dy, bitmap, starts, rows];
  return writeElements(backend, 'float32', [attrs.kept], sources, (target, ...from) => {
    const [slopes, words, begins, ids] = from as Memory;
    const kept = new Int32Array(columns);
    target.fill(0);
    for (let i = 0; i < ids.length; i++) {
      const count = setBits(kept, words, ids[i]! * columns, columns);
      const begin = begins[ids[i]!]!;
      for (let k = 0; k < count; k++) target[begin + k]! += slopes[i * columns + kept[k]!]!;
    }
  });
};

type Memory = [Float32Array, Int32Array, Int32Array, Int32Array];

const composedRows: Kernel = ({ inputs: { values, ...positions }, attrs }) =>
  tf.tidy(() => {
    const { kept, index } = expand(positions, attrs.columns, values.size);
    const found = tf.gather(values, index);
    // Not a product: a negative number times 0 is −0.
    return tf.where(tf.cast(kept, 'bool'), found, tf.zerosLike(found));
  });

const composedValues: Kernel = ({ inputs: { dy, ...positions }, attrs }) =>
  tf.tidy(() => {
    const { kept, index } = expand(positions, attrs.columns, attrs.kept);
    const slopes = tf.reshape(tf.mul(dy, kept), [-1]);
    return tf.unsortedSegmentSum(slopes, tf.reshape(index, [-1]) as Tensor1D, attrs.kept);
  });

/** `[n, columns]` twice: 1 where a number is kept, and its place among the values. */
function expand({ bitmap, starts, rows }: Positions, columns: number, size: number) {
  const down = tf.reshape(rows, [-1, 1]);
  const element = tf.add(tf.mul(down, int(columns)), tf.range(0, columns, 1, 'int32'));
  const word = tf.floorDiv(element, int(32));
  const bit = tf.sub(element, tf.mul(word, int(32)));
  const kept = readBit(tf.gather(bitmap, word), bit);
  const before = tf.add(tf.gather(starts, down), tf.cumsum(kept, 1, true));
  return { kept: tf.cast(kept, 'float32'), index: tf.minimum(before, int(size - 1)) };
}

/** A bit of each word. Dividing an integer floors: it shifts; in two steps, since 2^31 is no int32. */
function readBit(words: Tensor, bit: Tensor): Tensor {
  const powers = tf.tensor1d(
    Array.from({ length: 17 }, (_, i) => 2 ** i),
    'int32',
  );
  const half = tf.floorDiv(bit, int(2));
  const once = tf.floorDiv(words, tf.gather(powers, half));
  const shifted = tf.floorDiv(once, tf.gather(powers, tf.sub(bit, half)));
  return tf.sub(shifted, tf.mul(tf.floorDiv(shifted, int(2)), int(2)));
}

function int(value: number): Tensor {
  return tf.scalar(value, 'int32');
}
