import { writeElements } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { levelTable } from './coefficients.js';
import { findBounds, findCode } from './scales.js';

/** The kernel's name in the registry of tfjs. */
const NEAREST = 'EspalierNearestLevels';

/** The nearest level to each number of `v` `[n, directions]`, by the bits of its direction. It has no gradient. */
export function nearestLevels(v: Tensor2D, bits: readonly number[]): Tensor2D {
  return tf.engine().runKernel(NEAREST, { v }, { bits } as never) as Tensor2D;
}

/** Makes the kernel known: a loop over the memory itself on cpu and wasm, a composition of ops elsewhere. */
export function registerNearestLevels(): void {
  const register = (backends: readonly string[], round: typeof nearestLevels) => {
    const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) =>
      round(inputs['v'] as Tensor2D, (attrs as unknown as { bits: number[] }).bits);
    for (const backendName of backends) {
      tf.registerKernel({ kernelName: NEAREST, backendName, kernelFunc });
    }
  };
  register(['cpu', 'wasm'], roundInMemory);
  register(['tensorflow', 'webgpu', 'webgl'], roundByOps);
}

function roundInMemory(v: Tensor2D, bits: readonly number[]): Tensor2D {
  const count = bits.length;
  const [bounds, levels] = [bits.map(findBounds), bits.map(levelTable)];
  return writeElements(tf.backend(), 'float32', v.shape, [v], (target, ...[numbers]) => {
    for (let k = 0; k < count; k++) {
      const [own, table] = [bounds[k]!, levels[k]!];
      for (let at = k; at < target.length; at += count) {
        target[at] = table[findCode(numbers![at]!, own)]!;
      }
    }
  }) as Tensor2D;
}

/** Cells of a table of levels: so many that none of them has two bounds. */
const CELLS = 4096;

/** How many bounds lie below each cell, from −reach to reach. */
function countBelow(bounds: Float64Array, reach: number): number[] {
  return Array.from({ length: CELLS }, (_, cell) =>
    findCode((2 * cell * reach) / CELLS - reach, bounds),
  );
}

/** By a table of cells, and a comparison with the one bound that each may have. */
function roundByOps(v: Tensor2D, bits: readonly number[]): Tensor2D {
  const widths = [...new Set(bits)];
  const bounds = widths.map(findBounds);
  const reaches = bounds.map((each) => each.at(-1)! + 0.1);
  const begins = widths.map((_, i) => widths.slice(0, i).reduce((sum, each) => sum + 2 ** each, 0));
  const of = bits.map((each) => widths.indexOf(each));
  const row = (values: readonly number[], dtype: 'float32' | 'int32') =>
    tf.tensor2d([...values], [1, values.length], dtype);
  return tf.tidy(() => {
    const reach = row(
      of.map((i) => reaches[i]!),
      'float32',
    );
    const place = tf.mul(tf.div(tf.add(v, reach), reach), CELLS / 2);
    const cell = tf.cast(tf.clipByValue(tf.floor(place), 0, CELLS - 1), 'int32');
    const below = gatherFrom(
      bounds.flatMap((each, i) => countBelow(each, reaches[i]!)),
      'int32',
    );
    const code = below(
      tf.add(
        cell,
        row(
          of.map((i) => i * CELLS),
          'int32',
        ),
      ),
    );
    const entry = tf.add(
      code,
      row(
        of.map((i) => begins[i]!),
        'int32',
      ),
    );
    const next = gatherFrom(
      bounds.flatMap((each) => [...each, Infinity]),
      'float32',
    )(entry);
    const beyond = tf.cast(tf.greater(v, next), 'int32');
    const levels = gatherFrom(
      widths.flatMap((each) => [...levelTable(each)]),
      'float32',
    );
    return levels(tf.add(entry, beyond)) as Tensor2D;
  });
}

function gatherFrom(values: readonly number[], dtype: 'float32' | 'int32'): (at: Tensor) => Tensor {
  return (at) => tf.gather(tf.tensor1d([...values], dtype), at);
}
