import * as tf from '@tensorflow/tfjs-core';

/** Batch normalization by the statistics of the batch; `@espalier/model` asks for it by this name. */
export const BATCH_NORM_TRAINING = 'BatchNormTraining';

export const BATCH_NORM_TRAINING_GRAD = 'BatchNormTrainingGrad';

export const RELU_GRAD = 'ReluGrad';

/** Whether the backend in use has a kernel. */
export const hasKernel = (name: string): boolean =>
  tf.getKernel(name, tf.getBackend()) !== undefined;
