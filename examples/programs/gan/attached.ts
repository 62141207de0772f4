import { attach } from '@espalier/attach';
import { labelSmoothing } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { CENTRES, clusters } from './clusters.js';

const LATENT = 3;
const BATCH = 32;
const { layers } = tfl;
const LOSSES = ['binaryCrossentropy', 'sparseCategoricalCrossentropy'];

function createGenerator(): tfl.LayersModel {
  const latent = tfl.input({ shape: [LATENT] });
  const wanted = tfl.input({ shape: [1] });
  const embedded = layers
    .embedding({ inputDim: CENTRES.length, outputDim: LATENT })
    .apply(wanted) as tfl.SymbolicTensor;
  const flat = layers.flatten().apply(embedded) as tfl.SymbolicTensor;
  const both = layers.multiply().apply([latent, flat]);
  const hidden = layers.dense({ units: 16, activation: 'relu' }).apply(both);
  const point = layers.dense({ units: 2 }).apply(hidden) as tfl.SymbolicTensor;
  return tfl.model({ inputs: [latent, wanted], outputs: point });
}

function createCritic(): tfl.LayersModel {
  const point = tfl.input({ shape: [2] });
  const hidden = layers.dense({ units: 16 }).apply(point);
  const active = layers.leakyReLU({ alpha: 0.2 }).apply(hidden);
  const real = layers.dense({ units: 1 }).apply(active);
  const which = layers.dense({ units: CENTRES.length }).apply(active);
  return tfl.model({ inputs: point, outputs: [real, which] as tfl.SymbolicTensor[] });
}

/** A model around the critic: `trainable` of the one leaves the weights of the other alone. */
function createDiscriminator(): tfl.LayersModel {
  const point = tfl.input({ shape: [2] });
  const [realLogit, logits] = createCritic().apply(point) as tfl.SymbolicTensor[];
  const real = layers.activation({ activation: 'sigmoid', name: 'real' }).apply(realLogit!);
  const which = layers.activation({ activation: 'softmax', name: 'which' }).apply(logits!);
  return tfl.model({ inputs: point, outputs: [real, which] as tfl.SymbolicTensor[] });
}

function createCombined(generator: tfl.LayersModel, discriminator: tfl.LayersModel) {
  const latent = tfl.input({ shape: [LATENT] });
  const wanted = tfl.input({ shape: [1] });
  const point = generator.apply([latent, wanted]);
  const outputs = discriminator.apply(point) as tfl.SymbolicTensor[];
  return tfl.model({ inputs: [latent, wanted], outputs });
}

const drawLatent = (count: number, seed: number) =>
  tf.randomUniform([count, LATENT], -1, 1, 'float32', seed);

/** How far a generated point is from the centre of its class, in the mean. */
function distance(generator: tfl.LayersModel): number {
  return tf.tidy(() => {
    const wanted = Array.from({ length: 40 }, (_, i) => i % CENTRES.length);
    const latent = drawLatent(wanted.length, 9999);
    const points = generator.predict([latent, tf.tensor2d(wanted, [40, 1])]) as tf.Tensor;
    const centres = tf.tensor2d(wanted.map((id) => [...CENTRES[id]!]));
    return tf.mean(tf.norm(tf.sub(points, centres), 'euclidean', -1)).dataSync()[0]!;
  });
}

/** A GAN with classes: the discriminator learns by itself and is frozen inside the combined model. */
export async function run() {
  const generator = createGenerator();
  const discriminator = createDiscriminator();
  discriminator.compile({ optimizer: tf.train.adam(0.02, 0.5), loss: LOSSES });
  discriminator.trainable = false;
  const combined = createCombined(generator, discriminator);
  combined.compile({ optimizer: tf.train.adam(0.02, 0.5), loss: LOSSES });
  await attach(discriminator, labelSmoothing({ outputs: ['which'] }));
  const before = distance(generator);

  let losses = { discriminator: [] as number[], generator: [] as number[] };
  for (let step = 0; step < 120; step++) {
    const real = clusters(step, BATCH);
    const latent = drawLatent(BATCH, step);
    const fake = generator.predict([latent, real.classes]) as tf.Tensor;
    const points = tf.concat([real.points, fake]);
    const isReal = tf.concat([tf.ones([BATCH, 1]), tf.zeros([BATCH, 1])]);
    const which = tf.concat([real.classes, real.classes]);
    const ofDiscriminator = await discriminator.trainOnBatch(points, [isReal, which]);

    const trick = tf.ones([BATCH, 1]);
    const ofGenerator = await combined.trainOnBatch([latent, real.classes], [trick, real.classes]);
    losses = {
      discriminator: ofDiscriminator as number[],
      generator: ofGenerator as number[],
    };
    tf.dispose([real, latent, fake, points, isReal, which, trick]);
  }

  return { before, distance: distance(generator), losses };
}
