import { checkRows } from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { decodeByOps } from './composed-kernels.js';
import { decodeOnHost, scoreOnHost, sumOnHost } from './host-kernels.js';
import type { BlockCodesTensors, CodedFormat } from './host-memory.js';
import type { BlockCodesPart } from './layout.js';

/** The kernels' names in the registry of tfjs. Of the last two each is the transpose of the other, and its gradient. */
const DECODE = 'EspalierDecodeBlockCodes';
const SCORE = 'EspalierScoreBlockCodes';
const SUM = 'EspalierSumBlockCodes';

/** Rows by number: a tensor `[n]`, or `size` of them from `begin` on. */
export type Rows = Tensor1D | { readonly begin: number; readonly size: number };

/** Rows of a matrix in block codes: float32 `[n, columns]`. */
export function decodeBlockCodes(
  parts: BlockCodesTensors,
  rows: Rows,
  format: CodedFormat,
): Tensor2D {
  return rows instanceof tf.Tensor
    ? run(DECODE, { ...parts, rows }, { format })
    : run(DECODE, parts, { format, ...rows });
}

/** Products of each `x` `[n, columns]` with each row: `[n, rows]`. Differentiable in `x`, any number of times. */
export function scoreBlockCodes(
  parts: BlockCodesTensors,
  x: Tensor2D,
  format: CodedFormat,
): Tensor2D {
  return run(SCORE, { ...fillParts(parts), x }, { format });
}

/** Each `x` `[n, rows]` times the matrix: `[n, columns]`. Differentiable in `x`, any number of times. */
export function sumBlockCodes(
  parts: BlockCodesTensors,
  x: Tensor2D,
  format: CodedFormat,
): Tensor2D {
  return run(SUM, { ...fillParts(parts), x }, { format });
}

function run(kernel: string, inputs: object, attrs: object): Tensor2D {
  return tf.engine().runKernel(kernel, inputs as never, attrs as never) as Tensor2D;
}

const PARTS: BlockCodesPart[] = ['codes', 'basis', 'scales', 'ranges', 'map'];

/** With another in the place of what there is not: a gradient saves the same inputs of each matrix. */
function fillParts(parts: BlockCodesTensors): BlockCodesTensors {
  const { ranges } = parts;
  return { codes: ranges!, basis: ranges!, scales: ranges!, map: ranges!, ...parts };
}

/** The parts that there are. */
function takeParts(inputs: BlockCodesTensors, { layout }: CodedFormat): BlockCodesTensors {
  return Object.fromEntries(
    PARTS.filter((part) => part in layout.parts).map((part) => [part, inputs[part]]),
  );
}

interface Call {
  readonly inputs: BlockCodesTensors & { readonly rows?: Tensor1D; readonly x: Tensor2D };
  readonly attrs: { readonly format: CodedFormat; readonly begin: number; readonly size: number };
}

type Kernels = Readonly<Record<string, (call: Call) => Tensor2D>>;

const ON_HOST: Kernels = {
  [DECODE]: ({ inputs, attrs: { format, begin, size } }) => {
    const ids = inputs.rows
      ? (inputs.rows.dataSync() as Int32Array)
      : Int32Array.from({ length: size }, (_, i) => begin + i);
    checkRows(ids, format.layout.rows);
    return decodeOnHost(takeParts(inputs, format), ids, format);
  },
  [SCORE]: ({ inputs, attrs: { format } }) =>
    scoreOnHost(takeParts(inputs, format), inputs.x, format),
  [SUM]: ({ inputs, attrs: { format } }) => sumOnHost(takeParts(inputs, format), inputs.x, format),
};

const BY_OPS: Kernels = {
  [DECODE]: ({ inputs, attrs: { format, begin, size } }) =>
    tf.tidy(() => {
      const rows = inputs.rows ?? (tf.range(begin, begin + size, 1, 'int32') as Tensor1D);
      return decodeByOps(takeParts(inputs, format), rows, format.layout);
    }),
  [SCORE]: ({ inputs, attrs: { format } }) =>
    tf.tidy(() => tf.matMul(inputs.x, decodeAllByOps(inputs, format), false, true)),
  [SUM]: ({ inputs, attrs: { format } }) =>
    tf.tidy(() => tf.matMul(inputs.x, decodeAllByOps(inputs, format))),
};

function decodeAllByOps(inputs: BlockCodesTensors, format: CodedFormat): Tensor2D {
  const rows = tf.range(0, format.layout.rows, 1, 'int32') as Tensor1D;
  return decodeByOps(takeParts(inputs, format), rows, format.layout);
}

/**
 * Makes the kernels and their gradients known: loops on the host and products on the backend on cpu, wasm and
 * native; a composition of ops elsewhere.
 */
export function registerKernels(): void {
  for (const backend of ['cpu', 'wasm', 'tensorflow']) register(backend, ON_HOST);
  for (const backend of ['webgpu', 'webgl']) register(backend, BY_OPS);
  registerTranspose(SCORE, SUM);
  registerTranspose(SUM, SCORE);
}

function register(backendName: string, kernels: Kernels): void {
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    tf.registerKernel({ kernelName, backendName, kernelFunc: kernel as unknown as tf.KernelFunc });
  }
}

function registerTranspose(kernelName: string, transpose: string): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: PARTS,
    gradFunc: (dy, saved, attrs) => {
      const parts = Object.fromEntries(PARTS.map((part, i) => [part, saved[i]!]));
      return { x: () => run(transpose, { ...parts, x: dy }, attrs) };
    },
  });
}
