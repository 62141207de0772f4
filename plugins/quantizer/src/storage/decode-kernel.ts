import { writeElements } from '@espalier/backend';
import { checkRows } from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { decodeRows } from '../maths/decode.js';
import type { CodeFormat } from '../maths/decode.js';
import { int, readCodes } from './read-codes.js';

/** The kernel's name in the registry of tfjs. */
const KERNEL = 'EspalierDecodeRows';

/** What the kernel takes, all of rank 1; see `CodeValues`. */
export interface CodeTensors {
  readonly codes: Tensor;
  readonly levels: Tensor;
  readonly scale?: Tensor;
  readonly offset?: Tensor;
}

type Inputs = CodeTensors & { readonly rows: Tensor1D };

/**
 * Rows by number `[n]` of a matrix in codes, as float32 `[n, columns]`: one pass over the words of
 * these rows.
 */
export function decode(tensors: CodeTensors, rows: Tensor1D, format: CodeFormat): Tensor2D {
  const inputs = { ...tensors, rows } as unknown as tf.NamedTensorMap;
  return tf.engine().runKernel(KERNEL, inputs, { format } as never) as Tensor2D;
}

/**
 * Makes the kernel known: a loop over the memory itself on cpu and wasm, whose division of integers
 * is inexact from 2^24 on; a composition of integer ops elsewhere.
 */
export function registerDecoder(): void {
  for (const backendName of ['cpu', 'wasm']) {
    tf.registerKernel({ kernelName: KERNEL, backendName, kernelFunc: decodeInMemory });
  }
  for (const backendName of ['tensorflow', 'webgpu', 'webgl']) {
    tf.registerKernel({ kernelName: KERNEL, backendName, kernelFunc: decodeByOps });
  }
}

const decodeInMemory: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { codes, levels, rows, scale, offset } = inputs as unknown as Inputs;
  const { format } = attrs as unknown as { format: CodeFormat };
  const sources = [codes, levels, rows, ...[scale, offset].filter((each) => each !== undefined)];
  const shape = [rows.size, format.columns];
  return writeElements(backend, 'float32', shape, sources, (target, ...from) => {
    const [words, table, ids, factors, shifts] = from as [Int32Array, ...Float32Array[]];
    checkRows(ids!, format.rows);
    const values = { levels: table!, scale: factors, offset: shifts };
    decodeRows(target as Float32Array, words, values, format, ids!);
  });
};

const decodeByOps: tf.KernelFunc = ({ inputs, attrs }) => {
  const { codes, levels, rows, scale, offset } = inputs as unknown as Inputs;
  const {
    bits,
    columns,
    grouping,
    rows: height,
  } = (attrs as unknown as { format: CodeFormat }).format;
  return tf.tidy(() => {
    const across = tf.range(0, columns, 1, 'int32');
    const down = tf.reshape(rows, [-1, 1]);
    const element = tf.add(tf.mul(down, int(columns)), across);
    const code = readCodes(codes, element, bits, height * columns);
    const group = tf.add(
      tf.mul(down, int(grouping.perRow)),
      tf.floorDiv(across, int(grouping.length)),
    );
    if (!scale) return tf.gather(levels, tf.add(code, tf.mul(group, int(2 ** bits))));
    const scaled = tf.mul(tf.gather(levels, code), tf.gather(scale, group));
    return offset ? tf.add(scaled, tf.gather(offset, group)) : scaled;
  });
};
