import { EspalierError, twoCopiesError } from '@espalier/base';
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';

/**
 * What every copy of tfjs-core puts in place of what is there when it is loaded: its platform, and
 * gradients, of which these are some that Espalier does not repair. Gradients alone say nothing: builds of
 * tfjs-layers (hence its import), `@tensorflow/tfjs` and tfjs-node register their own too.
 */
const inUse = () => ({
  platform: tf.env().platform,
  gradients: ['Abs', 'Identity', 'Neg'].map((name) => tf.getGradient(name)),
});

const first = inUse();

/**
 * Refuses to go on when another copy of TensorFlow.js was loaded after the one in use, because that undoes
 * the repaired gradients. Cheap enough for every step.
 *
 * @throws EspalierError `session/two-tfjs`.
 * @example
 * refuseLateCopy(); // before a step
 */
export function refuseLateCopy(): void {
  const now = inUse();
  if (now.platform === first.platform) return;
  if (now.gradients.some((gradient, i) => gradient === first.gradients[i])) return;
  const { problem, fix } = twoCopiesError('what was loaded last').parts;
  throw new EspalierError('session/two-tfjs', {
    problem: `${problem}. Its gradients have replaced those in use, repaired ones too`,
    fix,
  });
}
