import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { keyedStream } from '../../src/random.js';
import type { Stream } from '../../src/random.js';

const { layers } = tfl;

/** tfjs-layers' orthogonal default calls chained ops, which plain tfjs-core has not. */
const recurrentInitializer = 'glorotUniform' as const;

/** One of every kind of structure that names and graphs must cope with; inputs are named by none. */
export const MODELS: Readonly<Record<string, () => LayersModel>> = {
  sequential: () =>
    tfl.sequential({
      layers: [
        layers.dense({ units: 4, activation: 'relu', inputShape: [3] }),
        layers.batchNormalization(),
        layers.dropout({ rate: 0.5 }),
        layers.dense({ units: 2, name: 'head' }),
      ],
    }),
  'sequential in sequential, first and later': () => {
    const dense = (units: number) => layers.dense({ units, inputShape: [3] });
    return tfl.sequential({
      layers: [
        tfl.sequential({ layers: [dense(4), layers.dense({ units: 3 })] }),
        tfl.sequential({ layers: [dense(5), layers.batchNormalization()], name: 'middle' }),
        layers.dense({ units: 2 }),
      ],
    });
  },
  'shared layer': () => {
    const [a, b] = [tfl.input({ shape: [3] }), tfl.input({ shape: [3] })];
    const shared = layers.dense({ units: 4, activation: 'relu' });
    const merged = layers.concatenate().apply([shared.apply(a), shared.apply(b)] as never[]);
    return tfl.model({
      inputs: [a, b],
      outputs: layers.dense({ units: 2 }).apply(merged) as tfl.SymbolicTensor,
    });
  },
  'nested model called twice': () => {
    const inner = tfl.sequential({ layers: [layers.dense({ units: 3, inputShape: [3] })] });
    const x = tfl.input({ shape: [3] });
    const once = inner.apply(x) as tfl.SymbolicTensor;
    return tfl.model({ inputs: x, outputs: [once, inner.apply(once) as tfl.SymbolicTensor] });
  },
  'residual with two outputs': () => {
    const x = tfl.input({ shape: [4, 4, 2] });
    const conv = () => layers.conv2d({ filters: 2, kernelSize: 3, padding: 'same' });
    const first = layers.batchNormalization().apply(conv().apply(x));
    const sum = layers.add().apply([x, first] as never[]);
    const pooled = layers.globalAveragePooling2d({}).apply(sum);
    const aux = layers.dense({ units: 2, name: 'aux' }).apply(layers.flatten().apply(first));
    return tfl.model({
      inputs: x,
      outputs: [layers.dense({ units: 3, name: 'main' }).apply(pooled), aux] as tfl.SymbolicTensor[],
    });
  },
  recurrent: () =>
    tfl.sequential({
      layers: [
        layers.embedding({ inputDim: 7, outputDim: 3, inputLength: 4 }),
        layers.bidirectional({
          layer: layers.lstm({ units: 2, returnSequences: true, recurrentInitializer }),
          mergeMode: 'concat',
        }),
        layers.timeDistributed({ layer: layers.dense({ units: 3 }) }),
        layers.rnn({
          cell: [
            layers.lstmCell({ units: 3, recurrentInitializer }),
            layers.gruCell({ units: 2, recurrentInitializer }),
          ] as never,
        }),
      ],
    }),
};

/** Ones of every input's shape, by name. */
export function onesFor(model: LayersModel, names: readonly string[], batch = 2) {
  const entries = model.inputs.map((input, i) => {
    const shape = input.shape.map((length) => length ?? batch);
    return [names[i]!, tf.reshape(tf.range(1, tf.util.sizeFromShape(shape) + 1), shape)];
  });
  return Object.fromEntries(entries) as Record<string, tf.Tensor>;
}

export const initStreams = (layer: string, weight: string): Stream =>
  keyedStream('test', layer, weight);

export function bytes(tensors: Readonly<Record<string, tf.Tensor>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(tensors).map(([k, t]) => [k, [t.shape, [...t.dataSync()]]]));
}
