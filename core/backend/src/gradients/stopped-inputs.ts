import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { stopGradientCalls } from '../stop-gradient.js';
import { wrapMethod } from './engine.js';
import type { EnginePatch } from './engine.js';

/**
 * Gives exact zeros to the inputs that no path reaches, but only where the differentiated function
 * used `stopGradient`: elsewhere a missing path is a mistake, and tfjs says so. Who must tell such
 * inputs from others asks for `'absent'`.
 */
export const zeroStoppedInputs: EnginePatch = (engine) =>
  wrapMethod(engine, 'gradients', (differentiate) => (f, xs, dy, allowNoGradients) => {
    const callsBefore = stopGradientCalls();
    const { value, grads } = differentiate(f, xs, dy, true);
    if (allowNoGradients !== 'absent' && stopGradientCalls() > callsBefore)
      return { value, grads: grads.map((g, i) => g ?? tf.zeros(xs[i]!.shape)) };
    if (!allowNoGradients && grads.every((g) => !g)) throw unconnectedError();
    return { value, grads };
  });

const unconnectedError = () =>
  new EspalierError('gradient/unconnected', {
    problem: 'Cannot compute gradient of y=f(x) with respect to x: no operation leads from x to y',
    fix: 'Compute y from x inside of f, or use stopGradient where a constant is meant.',
  });
