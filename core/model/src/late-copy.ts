import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { EspalierError, twoCopies } from '@espalier/errors';

/**
 * Gradients that Espalier does not repair. Every copy of tfjs-core puts its own over those that are there
 * when it is loaded, and so do some builds of tfjs-layers: hence its import.
 */
const gradientsInUse = () => ['Abs', 'Identity', 'Neg'].map((name) => tf.getGradient(name));

const first = gradientsInUse();

/**
 * Refuses a copy of TensorFlow.js that was loaded after the one in use: what was repaired is gone. Cheap
 * enough for every step.
 *
 * @throws EspalierError `session/two-tfjs`.
 */
export function refuseLateCopy(): void {
  const now = gradientsInUse();
  if (now.some((gradient, i) => gradient === first[i])) return;
  const { problem, fix } = twoCopies('what was loaded last').parts;
  throw new EspalierError('session/two-tfjs', {
    problem: `${problem}. Its gradients have replaced those in use, repaired ones too`,
    fix,
  });
}
