import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayerVariable } from '@tensorflow/tfjs-layers';
import type { Layer } from '../weights/parameters.js';

/** What a batch normalization of tfjs-layers holds. */
export interface BatchNormalization extends Layer {
  readonly axis: number;
  readonly epsilon: number;
  readonly momentum: number;
  readonly gamma: Scale;
  readonly beta: Scale;
  readonly movingMean: LayerVariable;
  readonly movingVariance: LayerVariable;
}

/** A weight that the layer may lack: then it reads nothing. */
interface Scale {
  read(): Tensor | undefined;
}

/** The kernel that `@espalier/backend` registers where one op of the backend does all of it. */
const KERNEL = 'BatchNormTraining';

/**
 * What the layer gives in training, by one kernel of the backend, and its moving statistics moved on;
 * `undefined` where the backend has none or the layer normalizes another axis than the last.
 */
export function normalizeInOneKernel(layer: BatchNormalization, x: Tensor): Tensor | undefined {
  if (!hasKernel() || !suits(layer, x)) return undefined;
  return tf.tidy(() => {
    const { gamma, beta, epsilon, movingMean, movingVariance, momentum } = layer;
    const channels = [x.shape[x.rank - 1]!];
    const scale = gamma.read() ?? tf.ones(channels);
    const offset = beta.read() ?? tf.zeros(channels);
    const [y, mean, variance] = tf
      .engine()
      .runKernel<Tensor[]>(KERNEL, { x, scale, offset }, { epsilon });
    moveOn(movingMean, mean!, momentum);
    moveOn(movingVariance, variance!, momentum);
    return y!;
  });
}

const hasKernel = () =>
  tf.getKernel(KERNEL, tf.getBackend()) !== undefined && tf.getGradient(KERNEL) !== undefined;

/** One row has no variance to correct: TensorFlow's kernel divides by the rows but one. */
function suits({ axis }: BatchNormalization, x: Tensor): boolean {
  const last = x.rank - 1;
  const isLast = axis === -1 || axis === last;
  return isLast && x.dtype === 'float32' && last > 0 && last < 4 && x.size > x.shape[last]!;
}

/** In the order of tfjs. */
function moveOn(variable: LayerVariable, value: Tensor, momentum: number): void {
  tf.tidy(() => {
    const before = variable.read();
    const change = tf.mul(tf.sub(before, value), 1 - momentum);
    variable.write(tf.sub(before, change));
  });
}
