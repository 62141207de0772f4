import '@tensorflow/tfjs-backend-cpu';
import { keyedRng } from '@espalier/core';
import type { KeyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import fc from 'fast-check';

const { layers } = tfl;

/** The default, orthogonal, calls chained ops, which plain tfjs-core has not. */
const recurrentInitializer = 'glorotUniform' as const;

export const lstm = (args: { units: number; returnSequences?: boolean; dropout?: number }) =>
  layers.lstm({ recurrentInitializer, ...args });

export function apply(layer: tfl.layers.Layer, ...inputs: SymbolicTensor[]): SymbolicTensor {
  return layer.apply(inputs.length === 1 ? inputs[0]! : inputs) as SymbolicTensor;
}

/** One of every structure that names and graphs must cope with. */
export const MODELS: Readonly<Record<string, () => LayersModel>> = {
  sequential: () =>
    tfl.sequential({
      layers: [
        layers.dense({ units: 4, activation: 'tanh', inputShape: [3] }),
        layers.batchNormalization(),
        layers.dropout({ rate: 0.5 }),
        layers.dense({ units: 2, name: 'head' }),
      ],
    }),
  'sequential in sequential': () => {
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
    const shared = layers.dense({ units: 4, activation: 'tanh' });
    const merged = apply(layers.concatenate(), apply(shared, a), apply(shared, b));
    return tfl.model({ inputs: [a, b], outputs: apply(layers.dense({ units: 2 }), merged) });
  },
  'nested model called twice': () => {
    const inner = tfl.sequential({ layers: [layers.dense({ units: 3, inputShape: [3] })] });
    const x = tfl.input({ shape: [3] });
    const once = apply(inner, x);
    return tfl.model({ inputs: x, outputs: [once, apply(inner, once)] });
  },
  'residual with two outputs': () => {
    const x = tfl.input({ shape: [4, 4, 2] });
    const conv = layers.conv2d({ filters: 2, kernelSize: 3, padding: 'same' });
    const first = apply(layers.batchNormalization(), apply(conv, x));
    const pooled = apply(layers.globalAveragePooling2d({}), apply(layers.add(), x, first));
    const main = apply(layers.dense({ units: 3, name: 'main' }), pooled);
    const flat = apply(layers.flatten(), first);
    return tfl.model({
      inputs: x,
      outputs: [main, apply(layers.dense({ units: 2, name: 'aux' }), flat)],
    });
  },
  recurrent: () =>
    tfl.sequential({
      layers: [
        layers.embedding({ inputDim: 200, outputDim: 3, inputLength: 4 }),
        layers.bidirectional({
          layer: lstm({ units: 2, returnSequences: true }),
          mergeMode: 'concat',
        }),
        layers.timeDistributed({ layer: layers.dense({ units: 3 }) }),
        layers.rnn({
          cell: layers.stackedRNNCells({
            cells: [
              layers.lstmCell({ units: 3, recurrentInitializer }),
              layers.gruCell({ units: 2, recurrentInitializer }),
            ],
          }),
        }),
      ],
    }),
};

/** A step of a random graph on tensors `[batch, 4]`: what to add, on which earlier tensors. */
export interface Step {
  readonly kind: 'dense' | 'norm' | 'activation' | 'add' | 'concat' | 'again' | 'nested';
  readonly from: number;
  readonly other: number;
  readonly named: boolean;
}

export const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step['kind'][]>(
      'dense',
      'norm',
      'activation',
      'add',
      'concat',
      'again',
      'nested',
    ),
    from: fc.nat(9),
    other: fc.nat(9),
    named: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);

export function randomModel(plan: readonly Step[]): LayersModel {
  const input = tfl.input({ shape: [4] });
  const tensors = [input];
  const shared = layers.dense({ units: 4, name: 'shared' });
  plan.forEach(({ kind, from, other, named }, i) => {
    const pick = (index: number) => tensors[index % tensors.length]!;
    // Never one tensor twice: tfjs then disposes it under the feet of its other consumers (predict).
    const another = pick(from + 1 + (other % Math.max(1, tensors.length - 1)));
    const name = named ? `${kind}-${i}` : undefined;
    const make = {
      dense: () => apply(layers.dense({ units: 4, name }), pick(from)),
      norm: () => apply(layers.batchNormalization({ name }), pick(from)),
      activation: () => apply(layers.activation({ activation: 'tanh', name }), pick(from)),
      add: () => apply(layers.add({ name }), pick(from), another),
      concat: () =>
        apply(layers.dense({ units: 4 }), apply(layers.concatenate({ name }), pick(from), another)),
      again: () => apply(shared, pick(from)),
      nested: () => {
        const inner = layers.dense({ units: 4, inputShape: [4] });
        return apply(tfl.sequential({ layers: [inner], name }), pick(from));
      },
    };
    tensors.push(make[kind]());
  });
  const last = tensors.at(-1)!;
  const earlier = tensors.at(-2)!;
  return tfl.model({ inputs: input, outputs: earlier === input ? last : [last, earlier] });
}

/** 0, 1, 2, … in every input's shape. */
export function inputsFor(model: LayersModel, names: readonly string[]): Record<string, Tensor> {
  const entries = model.inputs.map((input, i) => {
    const shape = input.shape.map((length) => length ?? 3);
    return [names[i]!, tf.reshape(tf.range(0, tf.util.sizeFromShape(shape)), shape)] as const;
  });
  return Object.fromEntries(entries);
}

export const initStreams = (layer: string, weight: string): KeyedRng =>
  keyedRng('test', layer, weight);

/** Values by name, for bit-exact comparison. */
export function valuesOf(tensors: Readonly<Record<string, Tensor>>): Record<string, number[]> {
  return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, [...t.dataSync()]]));
}

/** Runs `fn` and gives how many tensors it left behind. */
export function leftBehind(fn: () => void): number {
  const before = tf.memory().numTensors;
  fn();
  return tf.memory().numTensors - before;
}
