import { createSession, crossEntropy, definePlugin, SOFT_TARGETS, sgd } from '@espalier/core';
import type { Gradients, LossContext, Plugin, Session, SessionConfig } from '@espalier/core';
import { inputShapeOf, tinySource } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { z } from 'zod';

/** A run of a tiny model with these plugins. */
export function open(
  model: () => LayersModel,
  plugins: readonly Plugin[],
  more: Partial<SessionConfig> = {},
): Promise<Session> {
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05 }),
    train: tinySource({ ...dataOf(model), examples: 12 }),
    seed: 3,
    plugins,
    ...more,
  });
}

/** A batch of random inputs and rising class ids. */
export function batchFor(session: Session, model: () => LayersModel, examples = 3) {
  const { shape, classes } = dataOf(model);
  const x = tf.randomNormal([examples, ...shape], 0, 1, 'float32', 5);
  const y = tf.tensor1d(
    Array.from({ length: examples }, (_, i) => i % classes),
    'int32',
  );
  return session.batch({ x, y }, 'test');
}

function dataOf(model: () => LayersModel) {
  const probe = model();
  const made = { shape: inputShapeOf(probe), classes: probe.outputs[0]!.shape.at(-1)! };
  probe.dispose();
  return made;
}

/** Hands over what a `loss` tap sees, and the soft targets that it gets. */
export function onlooker(
  see: (targets: Readonly<Record<string, Tensor2D>>, context: LossContext) => void,
): Plugin {
  return definePlugin({
    id: 'onlooker',
    version: '0.0.0',
    options: z.strictObject({}),
    effects: { loss: 'add' },
    order: { after: ['label-generator'], optional: ['label-generator'] },
    stateless: true,
    apply(ctx) {
      ctx.hooks.loss.tap((context) => see(ctx.get(SOFT_TARGETS).logits(context), context));
    },
  })();
}

/** Paths whose gradient is there and not all zeros. */
export function moved({ gradients }: Gradients): string[] {
  return Object.entries(gradients)
    .filter(([, gradient]) => gradient.dataSync().some((value) => value !== 0))
    .map(([path]) => path)
    .sort();
}

export function disposeGradients({ total, values, gradients }: Gradients): void {
  tf.dispose([total, [...values], gradients]);
}

/** Maps of 9×7, 5×4, 5×4 and 2×2 positions: none divides the one before. */
export function oddCnn(): LayersModel {
  const conv = (name: string, filters: number, strides: number, padding: 'same' | 'valid') =>
    tfl.layers.conv2d({ name, filters, strides, padding, kernelSize: 3, activation: 'tanh' });
  return tfl.sequential({
    layers: [
      tfl.layers.inputLayer({ inputShape: [9, 7, 1] }),
      conv('stage1', 4, 1, 'same'),
      conv('stage2', 5, 2, 'same'),
      conv('stage3', 6, 1, 'same'),
      conv('stage4', 6, 2, 'valid'),
      tfl.layers.flatten({ name: 'flat' }),
      tfl.layers.dense({ name: 'hidden', units: 6, activation: 'tanh' }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

/** Two 1-D convolutions on 8 steps of 2 channels, then 2 logits. */
export function sequenceNet(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.conv1d({ name: 'conv_1', filters: 4, kernelSize: 3, inputShape: [8, 2] }),
      tfl.layers.conv1d({ name: 'conv_2', filters: 6, kernelSize: 3, activation: 'tanh' }),
      tfl.layers.globalAveragePooling1d({ name: 'pool' }),
      tfl.layers.dense({ name: 'logits', units: 2 }),
    ],
  });
}

/** What a case of the kit trains on: 12 examples, which it also validates on. */
export function small(shape: readonly number[], classes = 3) {
  const source = tinySource({ shape, classes, examples: 12 });
  return { train: source, validation: source };
}
