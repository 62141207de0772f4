import { installKernels } from '@espalier/backend';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { ratio, timeInTurn } from './measure.js';
import type { BenchOptions, Contender, Figure } from './measure.js';
import { mlp, noise } from './networks.js';

/** What the repaired kernels bring, each against its yardstick in the same process. */
export async function benchBackend({ quick }: BenchOptions): Promise<readonly Figure[]> {
  await tf.setBackend('wasm');
  const figures = [await mlpAgainstUnpatched()];
  const uninstall = installKernels('wasm');
  figures.push(await cnnAgainstMatMul(), await transposed());
  // A step on unpatched cpu takes most of a minute.
  if (quick) {
    uninstall();
    return figures;
  }
  const patched = await timeInTurn({ step: trainStep(cnn(), [32, 32, 32, 3]) }, { rounds: 3 });
  uninstall();
  return [...figures, await unpatchedCpu(patched.step.median)];
}

/** On 32×32×3: three 3×3 convolutions (32, 64, 64 channels), two max pools, dense 10. */
function cnn(): LayersModel {
  const conv = (filters: number, first = false) =>
    tfl.layers.conv2d({
      filters,
      kernelSize: 3,
      padding: 'same',
      activation: 'relu',
      ...(first && { inputShape: [32, 32, 3] }),
    });
  return tfl.sequential({
    layers: [
      conv(32, true),
      tfl.layers.maxPooling2d({ poolSize: 2 }),
      conv(64),
      tfl.layers.maxPooling2d({ poolSize: 2 }),
      conv(64),
      tfl.layers.flatten(),
      tfl.layers.dense({ units: 10 }),
    ],
  });
}

/** One training step with tfjs alone, so that only the backend is measured. */
function trainStep(model: LayersModel, shape: readonly number[]): Contender {
  const { x, y } = noise(shape, 10);
  const optimizer = tf.train.adam(1e-3);
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  return async () => {
    const { value, grads } = tf.variableGrads(() => {
      const logits = model.apply(x, { training: true }) as tf.Tensor2D;
      return tf.neg(
        tf.mean(tf.sum(tf.mul(tf.oneHot(y, 10), tf.logSoftmax(logits)), -1)),
      ) as tf.Scalar;
    }, variables);
    optimizer.applyGradients(grads as never);
    await value.data();
    tf.dispose([value, grads]);
  };
}

async function matMul(a: tf.Tensor2D, b: tf.Tensor2D, transposeA = false): Promise<void> {
  const product = tf.matMul(a, b, transposeA);
  await product.data();
  product.dispose();
}

async function cnnAgainstMatMul(): Promise<Figure> {
  const square = tf.reshape<tf.Rank.R2>(noise([1024, 1024], 1).x, [1024, 1024]);
  const { step, product } = await timeInTurn({
    step: trainStep(cnn(), [32, 32, 32, 3]),
    product: () => matMul(square, square),
  });
  square.dispose();
  return ratio('CNN step / 1024³ matMul', step, product, 1.7);
}

async function transposed(): Promise<Figure> {
  const square = noise([512, 512], 1).x as tf.Tensor2D;
  const { plain, flipped } = await timeInTurn(
    {
      plain: () => matMul(square, square),
      flipped: () => matMul(square, square, true),
    },
    { rounds: 15, repeat: 3 },
  );
  square.dispose();
  return ratio('transposed / plain 512³ matMul', flipped, plain, 1.2);
}

async function mlpAgainstUnpatched(): Promise<Figure> {
  const step = trainStep(mlp(), [128, 784]);
  const steps: Contender = async () => {
    for (let i = 0; i < 10; i++) await step();
  };
  const withKernels: Contender = async () => {
    const uninstall = installKernels('wasm');
    await steps();
    uninstall();
  };
  const { patched, unpatched } = await timeInTurn({ patched: withKernels, unpatched: steps });
  return ratio('10 MLP steps, patched / unpatched', patched, unpatched, 0.3);
}

/** Minutes of arithmetic: run once. */
async function unpatchedCpu(patched: number): Promise<Figure> {
  await tf.setBackend('cpu');
  const step = trainStep(cnn(), [32, 32, 32, 3]);
  const start = performance.now();
  await step();
  const value = (performance.now() - start) / patched;
  return { name: 'CNN step, unpatched cpu / patched wasm', value, unit: '×' };
}
