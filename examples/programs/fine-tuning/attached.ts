import { attach } from '@espalier/attach';
import { labelSmoothing } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { linesInNoise, SHAPES } from '../patterns.js';

const { layers } = tfl;

/** A network that learned to tell squares from crosses, without its last layer. */
async function trainBase(): Promise<tfl.LayersModel> {
  const { images, labels } = linesInNoise('base', 80, SHAPES);
  const input = tfl.input({ shape: [8, 8, 1] });
  const maps = layers.conv2d({ filters: 8, kernelSize: 3, activation: 'relu' }).apply(input);
  const flat = layers.flatten().apply(layers.maxPooling2d({ poolSize: 2 }).apply(maps));
  const features = layers.dense({ units: 24, activation: 'relu', name: 'features' }).apply(flat);
  const shape = layers.dense({ units: 2, activation: 'softmax' }).apply(features);
  const model = tfl.model({ inputs: input, outputs: shape as tfl.SymbolicTensor });
  model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy' });
  await model.fit(images, labels, { epochs: 4, batchSize: 16 });
  return tfl.model({ inputs: input, outputs: features as tfl.SymbolicTensor });
}

function addHead(base: tfl.LayersModel): tfl.LayersModel {
  const hidden = layers.dense({ units: 24, activation: 'relu', name: 'head' }).apply(base.outputs);
  const line = layers.dense({ units: 4, activation: 'softmax' }).apply(hidden);
  return tfl.model({ inputs: base.inputs, outputs: line as tfl.SymbolicTensor });
}

/** Two phases: a head on frozen layers, then all of it at a lower rate, compiled again. */
export async function run() {
  const { images, labels } = linesInNoise('train', 160);
  const test = linesInNoise('test', 80);
  const base = await trainBase();
  const kernelOf = () => base.layers[1]!.getWeights()[0]!.dataSync().slice();
  const accuracyNow = () => (model.evaluate(test.images, test.labels) as tf.Scalar[])[1]!;
  const before = kernelOf();

  for (const layer of base.layers) layer.trainable = false;
  const model = addHead(base);
  const compiled = { loss: 'categoricalCrossentropy', metrics: ['accuracy'] };
  model.compile({ ...compiled, optimizer: tf.train.adam(0.02) });
  await attach(model, labelSmoothing());
  await model.fit(images, labels, { epochs: 4, batchSize: 16 });
  const headOnly = { moved: distance(kernelOf(), before), accuracy: accuracyNow().dataSync()[0]! };

  for (const layer of base.layers) layer.trainable = true;
  model.compile({ ...compiled, optimizer: tf.train.rmsprop(0.005) });
  await model.fit(images, labels, { epochs: 4, batchSize: 16 });
  const whole = { moved: distance(kernelOf(), before), accuracy: accuracyNow().dataSync()[0]! };
  return { headOnly, whole };
}

const distance = (a: tf.TypedArray, b: tf.TypedArray) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
