import { writeElements } from '@espalier/backend';
import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { decodeRows } from '../maths/decode.js';
import type { CodeFormat } from '../maths/decode.js';
import { placePlanes } from '../maths/packing.js';
import type { PlacedPlane } from '../maths/packing.js';

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

function checkRows(ids: ArrayLike<number>, rows: number): void {
  const wrong = Array.prototype.find.call(ids, (id: number) => id < 0 || id >= rows);
  if (wrong === undefined) return;
  throw new EspalierError('quantizer/row', {
    problem: `a quantized matrix of ${rows} rows has no such row`,
    received: wrong,
    fix: `Look up ids from 0 to ${rows - 1}.`,
  });
}

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
    const parts = placePlanes(bits, height * columns).map((plane) =>
      readPlaneBits(codes, element, plane),
    );
    const code = tf.addN(parts);
    const group = tf.add(
      tf.mul(down, int(grouping.perRow)),
      tf.floorDiv(across, int(grouping.length)),
    );
    if (!scale) return tf.gather(levels, tf.add(code, tf.mul(group, int(2 ** bits))));
    const scaled = tf.mul(tf.gather(levels, code), tf.gather(scale, group));
    return offset ? tf.add(scaled, tf.gather(offset, group)) : scaled;
  });
};

/** The bits of one plane, where they stand in the code. Dividing an integer floors: it shifts. */
function readPlaneBits(codes: Tensor, element: Tensor, plane: PlacedPlane): Tensor {
  const perWord = int(plane.inWord + 1);
  const word = tf.floorDiv(element, perWord);
  const bit = tf.mul(tf.sub(element, tf.mul(word, perWord)), int(plane.width));
  const bits = tf.gather(codes, tf.add(word, int(plane.begin)));
  // Two shifts, since 2^31 is no int32.
  const half = tf.floorDiv(bit, int(2));
  const powers = tf.tensor1d(
    Array.from({ length: 17 }, (_, i) => 2 ** i),
    'int32',
  );
  const once = tf.floorDiv(bits, tf.gather(powers, half));
  const shifted = tf.floorDiv(once, tf.gather(powers, tf.sub(bit, half)));
  const beyond = int(plane.mask + 1);
  const part = tf.sub(shifted, tf.mul(tf.floorDiv(shifted, beyond), beyond));
  return tf.mul(part, int(2 ** plane.from));
}

function int(value: number): Tensor {
  return tf.scalar(value, 'int32');
}
