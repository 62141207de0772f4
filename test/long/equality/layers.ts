import type { HostArray } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import { layerTable } from '../../../core/backend/test/layers/table.js';
import type { LayerCase } from '../../../core/backend/test/layers/table.js';
import { wave } from './measure.js';
import type { Training } from './measure.js';

const EXAMPLES = 4;
const draws = 'draws from a keyed stream, not from Math.random, so that runs can be repeated';

/** Layer classes that are not measured, and why. */
export const EXCLUDED: Readonly<Record<string, string>> = {
  AlphaDropout: draws,
  GaussianDropout: draws,
  GaussianNoise: draws,
  SpatialDropout1D: draws,
  RandomWidth: draws,
  Resizing: 'fails in any model of tfjs: it takes the list of its inputs for a tensor',
  InputLayer: 'has nothing to compute',
  Sequential: 'every model here is one, or holds layers as one does',
  Model: 'as above',
  Functional: 'as above',
  StackedRNNCells: 'inside of RNN',
  GRUCell: 'inside of GRU',
  LSTMCell: 'inside of LSTM',
  SimpleRNNCell: 'inside of SimpleRNN',
  ConvLSTM2DCell: 'inside of ConvLSTM2D',
};

/** Cases that a training needs to be otherwise. */
const changed: Readonly<Record<string, Partial<LayerCase>>> = {
  // With a seed of its own, it draws the same mask here and there.
  Dropout: { make: () => tfl.layers.dropout({ rate: 0.5, seed: 3 }) },
};

/** Every layer class that is measured, in a model with trainable layers before and behind it. */
export const measured: readonly (readonly [string, Training])[] = layerTable
  .filter(({ className }) => !Object.hasOwn(EXCLUDED, className))
  .map((one) => ({ ...one, ...changed[one.className] }))
  .map((one) => [one.className, { model: () => modelOf(one), ...dataOf(one) }]);

/** Every layer class that tfjs knows. */
export function layerClasses(): readonly string[] {
  const { classNameMap } = tf.serialization.SerializationMap.getMap();
  return Object.entries(classNameMap)
    .filter(([, [made]]) => made.prototype instanceof tfl.layers.Layer)
    .map(([name]) => name);
}

function modelOf({ make, inputs, atInput }: LayerCase): tfl.LayersModel {
  const given = inputs.map((shape, i) => tfl.input({ shape: shape.slice(1), name: `x${i}` }));
  const before = given.map((input, i) => {
    const shape = inputs[i]!.slice(1);
    const dense = () => tfl.layers.dense({ units: shape.at(-1)! });
    // CategoryEncoding and CenterCrop write their output's shape into that of what they are applied to.
    const untouched = () => tfl.layers.reshape({ targetShape: shape });
    return (atInput ? untouched() : dense()).apply(input) as SymbolicTensor;
  });
  const made = make().apply(before.length > 1 ? before : before[0]!) as SymbolicTensor;
  const flat = made.shape.length > 2 ? tfl.layers.flatten().apply(made) : made;
  const outputs = tfl.layers.dense({ units: 2 }).apply(flat) as SymbolicTensor;
  return tfl.model({ inputs: given, outputs });
}

function dataOf({ inputs, classes }: LayerCase): Pick<Training, 'x' | 'y'> {
  const arrays = inputs.map((shape, k): HostArray => {
    const whole = [EXAMPLES, ...shape.slice(1)];
    const data = Float32Array.from({ length: tf.util.sizeFromShape(whole) }, (_, i) =>
      classes ? (5 * i + (i >> 1)) % classes : wave(i + 31 * k),
    );
    return { data, shape: whole };
  });
  const named = Object.fromEntries(arrays.map((array, k) => [`x${k}`, array]));
  const y = Float32Array.from({ length: 2 * EXAMPLES }, (_, i) => wave(i + 0.5));
  return { x: arrays.length > 1 ? named : arrays[0]!, y: { data: y, shape: [EXAMPLES, 2] } };
}
