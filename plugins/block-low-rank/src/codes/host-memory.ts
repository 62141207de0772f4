import { writeElements } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { prepareTables } from './decode.js';
import type { BlockTables } from './decode.js';
import type { BlockCodesLayout, BlockCodesPart } from './layout.js';

/** The frozen parts of a matrix in block codes as tensors, each of rank 1. */
export type BlockCodesTensors = Readonly<Partial<Record<BlockCodesPart, Tensor>>>;

/** What a storage's kernels know beside its weights. */
export interface CodedFormat {
  readonly layout: BlockCodesLayout;
  /** Tables by the memory of `ranges`, which goes when a weight is replaced. */
  readonly known: WeakMap<object, KnownTables>;
}

interface KnownTables {
  /** The memory of all parts that the tables come from. */
  readonly memory: readonly object[];
  readonly tables: BlockTables;
}

/** The tables of frozen parts, worked out where one of them is another than before. */
export function findTables({ layout, known }: CodedFormat, parts: BlockCodesTensors): BlockTables {
  const others = Object.entries(parts).filter(([part]) => part !== 'codes');
  const memory = others.map(([, { dataId }]) => dataId);
  const key = parts.ranges!.dataId;
  const before = known.get(key);
  if (before?.memory.every((each, i) => each === memory[i])) return before.tables;
  const read = others.map(([part, tensor]) => [part, tensor.dataSync()]);
  const tables = prepareTables(layout, Object.fromEntries(read));
  known.set(key, { memory, tables });
  return tables;
}

const copies = new WeakMap<object, Int32Array>();

/** Words of codes on the host, copied there once. */
function copyOnce({ dataId }: Tensor, read: () => Int32Array): Int32Array {
  const copy = copies.get(dataId) ?? read();
  copies.set(dataId, copy);
  return copy;
}

/**
 * Makes a tensor from codes by a loop on the host: over the memory itself on cpu and wasm, over a copy of the codes that
 * is kept as long as they are on the native backend.
 */
export function writeFromCodes(
  shape: [number, number],
  codes: Tensor | undefined,
  write: (target: Float32Array, codes: Int32Array) => void,
): tf.Tensor2D {
  const none = new Int32Array(0);
  if (tf.getBackend() === 'tensorflow') {
    const target = new Float32Array(shape[0] * shape[1]);
    write(target, codes ? copyOnce(codes, () => codes.dataSync<'int32'>()) : none);
    return tf.tensor2d(target, shape);
  }
  const sources = codes ? [codes] : [];
  return writeElements(tf.backend(), 'float32', shape, sources, (target, words = none) =>
    write(target as Float32Array, words as Int32Array),
  ) as tf.Tensor2D;
}
