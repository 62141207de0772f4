import type { GradientTransform, Session } from '@espalier/core';
import { createSession, meanSquaredError, memoryStore, tfjs } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

const OPTIMIZERS: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.05),
  momentum: () => tf.train.momentum(0.05, 0.9),
  'momentum, Nesterov': () => tf.train.momentum(0.05, 0.9, true),
  adam: () => tf.train.adam(0.01),
  adamax: () => tf.train.adamax(0.01, 0.9, 0.999, 1e-7, 0.1),
  rmsprop: () => tf.train.rmsprop(0.01),
  'rmsprop with momentum': () => tf.train.rmsprop(0.01, 0.9, 0.5),
  adagrad: () => tf.train.adagrad(0.05),
  adadelta: () => tf.train.adadelta(1),
};

const wave = (i: number) => Math.sin(i * 12.9898);
const waves = (shape: number[], phase: number) =>
  tf.tensor(
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => wave(i + phase)),
    shape,
  );

/** A convolution with batch normalization, an LSTM over an embedding, and a dense head. */
function model(): tfl.LayersModel {
  const words = tfl.input({ name: 'words', shape: [4] });
  const picture = tfl.input({ name: 'picture', shape: [5, 5, 1] });
  const embedded = tfl.layers.embedding({ inputDim: 12, outputDim: 3 }).apply(words);
  const read = tfl.layers.lstm({ units: 3 }).apply(embedded) as tfl.SymbolicTensor;
  const convolved = tfl.layers.conv2d({ filters: 2, kernelSize: 3 }).apply(picture);
  const normal = tfl.layers.batchNormalization().apply(convolved);
  const seen = tfl.layers.flatten().apply(tfl.layers.reLU().apply(normal)) as tfl.SymbolicTensor;
  const joined = tfl.layers.concatenate().apply([read, seen]);
  const y = tfl.layers.dense({ units: 2 }).apply(joined) as tfl.SymbolicTensor;
  return tfl.model({ inputs: [words, picture], outputs: y });
}

/** The same first weights in every model. */
function setWaves(made: tfl.LayersModel): tfl.LayersModel {
  const isVariance = (i: number) => made.weights[i]!.originalName.includes('variance');
  tf.tidy(() =>
    made.setWeights(
      made.getWeights().map((old, i) => (isVariance(i) ? old : waves(old.shape, 17 * i))),
    ),
  );
  return made;
}

const valuesOf = (made: tfl.LayersModel) =>
  made.getWeights().map((value) => Array.from(value.dataSync()));

/** Eight examples in two batches of four. */
function examples() {
  const ids = Array.from({ length: 32 }, (_, i) => (i * 7 + (i >> 2)) % 11);
  return { words: tf.tensor(ids, [8, 4]), picture: waves([8, 5, 5, 1], 0), y: waves([8, 2], 0.5) };
}

async function fitOfTfjs(optimizer: tf.Optimizer) {
  const { words, picture, y } = examples();
  const made = setWaves(model());
  made.compile({ optimizer, loss: 'meanSquaredError' });
  await made.fit([words, picture], y, {
    epochs: 10,
    batchSize: 4,
    shuffle: false,
    verbose: 0,
    yieldEvery: 'never',
  });
  tf.dispose([words, picture, y]);
  return valuesOf(made);
}

/** Ten steps, a checkpoint, and ten more in another session. */
async function stepsWithResume(optimizer: () => GradientTransform) {
  const store = memoryStore();
  const open = () =>
    createSession({
      model: setWaves(model()),
      loss: meanSquaredError(),
      optimizer: optimizer(),
      checkpoint: { store },
    });
  const first = await open();
  await tenSteps(first);
  await first.save();
  await first.dispose();
  const second = await open();
  await second.load();
  await tenSteps(second);
  const values = valuesOf(second.model);
  await second.dispose();
  return values;
}

async function tenSteps(session: Session): Promise<void> {
  const { words, picture, y } = examples();
  for (let step = 0; step < 10; step++) {
    const half = (whole: tf.Tensor) => tf.slice(whole, (step % 2) * 4, 4);
    const batch = { x: { words: half(words), picture: half(picture) }, y: half(y) };
    await session.step(batch);
    tf.dispose([batch.x, batch.y]);
  }
  tf.dispose([words, picture, y]);
}

// The operations of each are compared on both backends in @espalier/optim; here a few on cpu will do.
const CASES = {
  wasm: Object.keys(OPTIMIZERS),
  cpu: ['momentum, Nesterov', 'adam', 'rmsprop with momentum'],
};

describe.each(Object.entries(CASES))('on %s', (backend, names) => {
  beforeAll(() => onBackend(backend as 'wasm' | 'cpu'));

  it.each(names)(
    'tfjs.%s gives the bits of LayersModel.fit after 20 steps, resumed after ten',
    async (name) => {
      const make = OPTIMIZERS[name]!;
      const ours = await stepsWithResume(() => tfjs.convert(make()));
      expect(ours).toEqual(await fitOfTfjs(make()));
    },
  );
});
