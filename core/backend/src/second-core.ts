import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Copies of tfjs-core share one engine, and the copy that was loaded first makes all its tensors:
 * theirs are then not of this copy's class.
 *
 * @throws EspalierError `backend/second-core` if another copy made the engine.
 */
export function refuseForeignEngine(): void {
  const probe = tf.scalar(0);
  const foreign = probe.constructor !== tf.Tensor;
  probe.dispose();
  if (foreign) throw secondCore('another copy was loaded first');
}

/** The error for more than one copy of tfjs-core in one program. */
export const secondCore = (detail: string): EspalierError =>
  new EspalierError('backend/second-core', {
    problem:
      `two copies of @tensorflow/tfjs-core are loaded (${detail}). Models, optimizers and ` +
      'tensors of one do not work with the other',
    fix:
      'Give all @tensorflow packages one version and run "npm dedupe"; "npm ls ' +
      '@tensorflow/tfjs-core" shows who brings which. A package that is bundled, a plugin say, leaves ' +
      '@tensorflow/* outside, as peer dependencies.',
  });
