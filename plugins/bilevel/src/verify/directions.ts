import { keyedRng } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { mapTensors } from '../tensor-math.js';

/** Orthonormal coordinates where there are at most `most`, or so many random directions of length 1. */
export function directionsIn(phi: NamedTensors, most: number, seed: number): NamedTensors[] {
  const size = Object.values(phi).reduce((sum, { size }) => sum + size, 0);
  if (size <= most)
    return Array.from({ length: size }, (_, i) => direction(phi, (j) => +(i === j)));
  const draw = keyedRng(seed, 'bilevel', 'verify');
  return Array.from({ length: most }, () => {
    const values = Array.from({ length: size }, () => gaussian(draw));
    const norm = Math.hypot(...values);
    return direction(phi, (i) => values[i]! / norm);
  });
}

function direction(phi: NamedTensors, value: (i: number) => number): NamedTensors {
  let i = 0;
  return mapTensors(phi, ({ size, shape }) =>
    tf.tensor(
      Float32Array.from({ length: size }, () => value(i++)),
      shape,
    ),
  );
}

/** Box and Muller 1958. */
function gaussian(draw: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}
