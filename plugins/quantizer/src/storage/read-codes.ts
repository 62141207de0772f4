import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { placePlanes } from '../maths/packing.js';
import type { Bits, PlacedPlane } from '../maths/packing.js';

/**
 * Codes by number out of words of `count` codes, by ops on integers: int32 of the shape of `element`. Where there is no
 * such code, the look-up is beyond the words, which a backend that checks it refuses.
 */
export function readCodes(codes: Tensor, element: Tensor, bits: Bits, count: number): Tensor {
  const first = tf.greaterEqual(element, int(0));
  const exists = tf.cast(tf.logicalAnd(first, tf.less(element, int(count))), 'int32');
  const read = (plane: PlacedPlane) => readPlaneBits(codes, element, plane, exists);
  return tf.addN(placePlanes(bits, count).map(read));
}

/** The bits of one plane, where they stand in the code. Dividing an integer floors: it shifts. */
function readPlaneBits(codes: Tensor, element: Tensor, plane: PlacedPlane, exists: Tensor): Tensor {
  const perWord = int(plane.inWord + 1);
  const word = tf.floorDiv(element, perWord);
  const bit = tf.mul(tf.sub(element, tf.mul(word, perWord)), int(plane.width));
  const beyondAll = tf.mul(tf.sub(int(1), exists), int(codes.size));
  const place = tf.add(tf.mul(tf.add(word, int(plane.begin)), exists), beyondAll);
  const bits = tf.gather(codes, place);
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

/** A whole number as a tensor. */
export function int(value: number): Tensor {
  return tf.scalar(value, 'int32');
}
