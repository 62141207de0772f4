import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Codebook } from './codebooks.js';
import type { CodePiece } from './layout.js';
import { findNearestRows, listRuns } from './piece-coders.js';

/** The kernel's name in the registry of tfjs. */
const NEAREST = 'EspalierNearestValues';

/** What the nearest codes to each row of `v` `[n, directions]` stand for, piece by piece. It has no gradient. */
export function nearestValues(v: Tensor2D, pieces: readonly CodePiece[]): Tensor2D {
  return tf.engine().runKernel(NEAREST, { v }, { pieces } as never) as Tensor2D;
}

/** Makes the kernel known, a composition of ops. */
export function registerNearestValues(): void {
  const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) =>
    roundByOps(inputs['v'] as Tensor2D, (attrs as unknown as { pieces: CodePiece[] }).pieces);
  for (const backendName of ['cpu', 'wasm', 'tensorflow', 'webgpu', 'webgl']) {
    tf.registerKernel({ kernelName: NEAREST, backendName, kernelFunc });
  }
}

function roundByOps(v: Tensor2D, pieces: readonly CodePiece[]): Tensor2D {
  return tf.tidy(() => {
    const parts = listRuns(pieces).map(({ codebook, first, pieces: own }) => {
      const width = own * codebook.count;
      const numbers = tf.slice2d(v, [0, first], [v.shape[0], width]);
      const rows = tf.reshape(numbers, [-1, codebook.count]) as Tensor2D;
      return tf.reshape(roundRows(rows, codebook), [-1, width]) as Tensor2D;
    });
    return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 1);
  });
}

function roundRows(rows: Tensor2D, codebook: Codebook): Tensor2D {
  const { count, values } = codebook;
  if (count === 1) return roundToLevels(rows, codebook);
  const all = tf.tensor2d(values, [values.length / count, count]);
  return tf.gather(all, findNearestRows(rows, codebook));
}

/** Cells of a table of levels: so many that none of them has two bounds. */
const CELLS = 4096;

/** Of rising levels: the bounds between neighbours, and how many of them lie below each cell. */
interface LevelCells {
  readonly bounds: readonly number[];
  readonly reach: number;
  readonly below: Int32Array;
}

const knownCells = new WeakMap<Codebook, LevelCells>();

function findCells(codebook: Codebook): LevelCells {
  const before = knownCells.get(codebook);
  if (before) return before;
  const { values } = codebook;
  const bounds = Array.from(values.subarray(1), (level, i) => (values[i]! + level) / 2);
  const reach = bounds.at(-1)! + 0.1;
  const below = Int32Array.from({ length: CELLS }, (_, cell) => {
    const start = (2 * cell * reach) / CELLS - reach;
    return bounds.filter((bound) => bound < start).length;
  });
  const made = { bounds, reach, below };
  knownCells.set(codebook, made);
  return made;
}

/** The nearest of rising levels, by a table of cells and a comparison with the one bound that each may have. */
function roundToLevels(numbers: Tensor2D, codebook: Codebook): Tensor2D {
  const { bounds, reach, below } = findCells(codebook);
  const place = tf.mul(tf.add(numbers, reach), CELLS / (2 * reach));
  const cell = tf.cast(tf.clipByValue(tf.floor(place), 0, CELLS - 1), 'int32');
  const code = tf.gather(tf.tensor1d(below, 'int32'), cell);
  const next = tf.gather(tf.tensor1d([...bounds, Infinity]), code);
  const beyond = tf.cast(tf.greater(numbers, next), 'int32');
  const levels = tf.tensor1d(codebook.values) as tf.Tensor;
  return tf.gather(levels, tf.add(code, beyond)) as Tensor2D;
}
