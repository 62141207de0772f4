import { writeElements } from '@espalier/backend';
import { checkRows } from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { decodeVectors, spreadToCodebook } from '../vectors/decode-vectors.js';
import type { VectorFormat } from '../vectors/layout.js';
import { readCodes } from './read-codes.js';

/** The kernels' names in the registry of tfjs. Each is the transpose of the other, and its gradient. */
const DECODE = 'EspalierDecodeVectors';
const SPREAD = 'EspalierSpreadToCodebook';

interface Decoded {
  readonly codes: Tensor;
  readonly codebook: Tensor;
  readonly rows: Tensor;
}

type Spread = Omit<Decoded, 'codebook'> & { readonly values: Tensor };

/**
 * Rows by number `[n]` of a matrix in codes of vectors, as float32 `[n, columns]`: one pass over the words
 * of these rows. Differentiable in the codebook, any number of times.
 */
export function decodeRowsOfVectors(
  codes: Tensor,
  codebook: Tensor,
  rows: Tensor1D,
  format: VectorFormat,
): Tensor2D {
  const inputs = { codes, codebook, rows } as unknown as tf.NamedTensorMap;
  return tf.engine().runKernel(DECODE, inputs, { format } as never) as Tensor2D;
}

/** Sums of rows `[n, columns]` at the entries that their codes name: a codebook. */
export function spreadToCodes(
  codes: Tensor,
  values: Tensor,
  rows: Tensor,
  format: VectorFormat,
): Tensor {
  const inputs = { codes, values, rows } as unknown as tf.NamedTensorMap;
  return tf.engine().runKernel(SPREAD, inputs, { format } as never) as Tensor;
}

/** Makes the kernels and their gradients known: a loop over the memory on cpu and wasm, a composition of ops elsewhere. */
export function registerVectorKernels(): void {
  for (const backendName of ['cpu', 'wasm']) {
    tf.registerKernel({ kernelName: DECODE, backendName, kernelFunc: decodeInMemory });
    tf.registerKernel({ kernelName: SPREAD, backendName, kernelFunc: spreadInMemory });
  }
  for (const backendName of ['tensorflow', 'webgpu', 'webgl']) {
    tf.registerKernel({ kernelName: DECODE, backendName, kernelFunc: decodeByOps });
    tf.registerKernel({ kernelName: SPREAD, backendName, kernelFunc: spreadByOps });
  }
  tf.registerGradient({
    kernelName: DECODE,
    inputsToSave: ['codes', 'rows'],
    gradFunc: (dy, [codes, rows], attrs) => ({
      codebook: () => spreadToCodes(codes!, dy as Tensor, rows!, formatOf(attrs)),
    }),
  });
  tf.registerGradient({
    kernelName: SPREAD,
    inputsToSave: ['codes', 'rows'],
    gradFunc: (dy, [codes, rows], attrs) => ({
      values: () => decodeRowsOfVectors(codes!, dy as Tensor, rows as Tensor1D, formatOf(attrs)),
    }),
  });
}

function formatOf(attrs: unknown): VectorFormat {
  return (attrs as { format: VectorFormat }).format;
}

const decodeInMemory: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { codes, codebook, rows } = inputs as unknown as Decoded;
  const format = formatOf(attrs);
  const shape = [rows.size, format.columns];
  return writeElements(backend, 'float32', shape, [codes, codebook, rows], (target, ...from) => {
    const [words, table, ids] = from as [Int32Array, Float32Array, Int32Array];
    checkRows(ids, format.rows);
    decodeVectors(target as Float32Array, words, table, format, ids);
  });
};

const spreadInMemory: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { codes, values, rows } = inputs as unknown as Spread;
  const format = formatOf(attrs);
  const shape = [codebookSize(format)];
  return writeElements(backend, 'float32', shape, [codes, values, rows], (target, ...from) => {
    const [words, numbers, ids] = from as [Int32Array, Float32Array, Int32Array];
    spreadToCodebook(target as Float32Array, words, numbers, format, ids);
  });
};

function codebookSize({ bits, pieces }: VectorFormat): number {
  return pieces.reduce((sum, { width }) => sum + 2 ** bits * width, 0);
}

const decodeByOps: tf.KernelFunc = ({ inputs, attrs }) => {
  const { codes, codebook, rows } = inputs as unknown as Decoded;
  const format = formatOf(attrs);
  return tf.tidy(() => {
    const places = findPlaces(codes, rows, format);
    const numbers = tf.gather(codebook, places);
    return inLayers(format)
      ? tf.sum(tf.reshape(numbers, [rows.size, format.pieces.length, format.columns]), 1)
      : numbers;
  });
};

const spreadByOps: tf.KernelFunc = ({ inputs, attrs }) => {
  const { codes, values, rows } = inputs as unknown as Spread;
  const format = formatOf(attrs);
  return tf.tidy(() => {
    const places = tf.reshape(findPlaces(codes, rows, format), [-1]) as Tensor1D;
    const layers = inLayers(format) ? format.pieces.length : 1;
    const numbers = tf.reshape(tf.tile(values, [1, layers]), [-1]);
    return tf.unsortedSegmentSum(numbers, places, codebookSize(format));
  });
};

/** Whether pieces lie one on the other (residual codes), not side by side. */
function inLayers({ pieces, columns }: VectorFormat): boolean {
  return pieces.every(({ width }) => width === columns);
}

/** Where in the codebook each number lies: `[n, columns]`, or `[n, pieces · columns]` of layers. */
function findPlaces(
  codes: Tensor,
  rows: Tensor,
  { bits, rows: height, pieces }: VectorFormat,
): Tensor {
  const list = pieces.flatMap(({ width, table }, piece) =>
    Array.from({ length: width }, (_, j) => ({ piece, width, place: table + j })),
  );
  const row = (of: (each: (typeof list)[number]) => number) =>
    tf.tensor2d(list.map(of), [1, list.length], 'int32');
  const perRow = tf.scalar(pieces.length, 'int32');
  const element = tf.add(
    tf.mul(tf.reshape(rows, [-1, 1]), perRow),
    row(({ piece }) => piece),
  );
  const code = readCodes(codes, element, bits, height * pieces.length);
  return tf.add(
    tf.mul(
      code,
      row(({ width }) => width),
    ),
    row(({ place }) => place),
  );
}
