import { EspalierError } from './error.js';

/**
 * The error for an object that another copy of TensorFlow.js made; its code is `session/two-tfjs`.
 *
 * @param what Names the object: `the model`.
 * @example
 * if (!(model instanceof tf.LayersModel)) throw twoCopiesError('the model');
 */
export function twoCopiesError(what: string): EspalierError {
  return new EspalierError('session/two-tfjs', {
    problem: `${what} comes from another copy of TensorFlow.js than the one that Espalier uses: two copies are loaded, and tensors, layers and optimizers of one do not work with the other`,
    fix: 'Keep one copy: npm ls @tensorflow/tfjs-core @tensorflow/tfjs-layers, then npm dedupe; a package that is bundled leaves @tensorflow/* outside, as peer dependencies.',
  });
}
