import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { EspalierError } from '@espalier/errors';
import type { Loss } from './loss.js';

/**
 * Refuses targets that do not fit an output, before anything is computed with them.
 *
 * @throws EspalierError `targets/shape`, `targets/range`.
 */
export async function checkTarget(
  loss: Loss,
  name: string,
  target: Tensor,
  outputShape: readonly (number | null)[],
): Promise<void> {
  const classIds = loss.classIds && target.rank === outputShape.length - 1;
  const expected = classIds ? outputShape.slice(0, -1) : outputShape;
  const fits =
    target.rank === expected.length &&
    expected.every((size, i) => i === 0 || size === null || size === target.shape[i]);
  if (!fits) {
    throw new EspalierError('targets/shape', {
      problem: `the targets of output '${name}' have shape [${target.shape.join(', ')}]; ${loss.name} wants [${describe(outputShape, loss)}]`,
      received: target.shape,
    });
  }
  if (classIds) await checkRange(name, target, outputShape[outputShape.length - 1] ?? Infinity);
}

function describe(shape: readonly (number | null)[], loss: Loss): string {
  const text = (dims: readonly (number | null)[]) => ['batch', ...dims.slice(1)].join(', ');
  return loss.classIds
    ? `${text(shape.slice(0, -1))}] (class ids) or [${text(shape)}`
    : text(shape);
}

/** Class ids that were found in range, and for how many classes: tensors do not change. */
const checked = new WeakMap<Tensor, number>();

async function checkRange(name: string, target: Tensor, classes: number): Promise<void> {
  if (checked.get(target) === classes) return;
  const ids = await target.data();
  const bad = ids.findIndex((id) => !(id >= 0 && id < classes && Number.isInteger(id)));
  if (bad < 0) {
    if (!(target instanceof tf.Variable)) checked.set(target, classes);
    return;
  }
  throw new EspalierError('targets/range', {
    problem: `the targets of output '${name}' must be class ids from 0 to ${classes - 1}; position ${bad} of the batch is not`,
    received: ids[bad],
    fix: 'Check the label encoding, or give the output layer more units.',
  });
}
