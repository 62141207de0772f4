import {
  addOutput,
  buildModel,
  disposeModel,
  extractGraph,
  countMacs,
  countMacsTo,
  listUncountedLayers,
  viewModel,
} from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LAYERS, modelOf, variantsOf } from './every-layer.js';
import { apply, lstm, MODELS } from './models.js';

const { layers } = tfl;
const made: LayersModel[] = [];

beforeAll(async () => void (await tf.setBackend('cpu')));
afterEach(() => made.splice(0).forEach(disposeModel));

function given(make: () => LayersModel): LayersModel {
  const model = make();
  made.push(model);
  return model;
}

describe('viewModel', () => {
  it('shows layers in order with shapes, inbound layers and parameters', () => {
    const view = viewModel(given(MODELS['residual with two outputs']!));
    expect(view.layers.map(({ name }) => name)).toEqual([
      'input_1',
      'conv2d_1',
      'batch_normalization_1',
      'add_1',
      'global_average_pooling2d_1',
      'flatten_1',
      'main',
      'aux',
    ]);
    expect(view.layers[3]).toEqual({
      name: 'add_1',
      className: 'Add',
      outputShape: [4, 4, 2],
      inbound: ['input_1', 'batch_normalization_1'],
      parameters: 0,
      macs: 0,
    });
    expect(view.layers[1]).toMatchObject({ parameters: 38, outputShape: [4, 4, 2] });
    expect(view).toMatchObject({ inputNames: ['input_1'], outputNames: ['main', 'aux'] });
  });

  it('tells added outputs from the model’s own', () => {
    const model = given(MODELS['sequential']!);
    const edited = given(() => buildModel(addOutput(extractGraph(model), 'dense_1')));
    const view = viewModel(edited, { ownOutputs: viewModel(model).ownOutputs });
    expect(view.outputNames).toEqual(['head', 'dense_1']);
    expect(view.ownOutputs).toEqual(['head']);
    expect(view.graph.topology).toEqual(extractGraph(edited).topology);
  });
});

/** The slow reference: counts by hand. */
describe('multiply-accumulates', () => {
  const image = [8, 6, 3];
  const steps = [5, 4];
  const inner = () => tfl.sequential({ layers: [layers.dense({ units: 7, inputShape: [4] })] });

  it.each<[string, () => tfl.layers.Layer, number[], number]>([
    ['dense', () => layers.dense({ units: 5 }), [3], 15],
    ['dense at every position', () => layers.dense({ units: 7 }), steps, 5 * 4 * 7],
    ['conv1d', () => layers.conv1d({ filters: 2, kernelSize: 3 }), steps, 3 * 3 * 4 * 2],
    [
      'conv2d same',
      () => layers.conv2d({ filters: 4, kernelSize: 3, padding: 'same' }),
      image,
      48 * 9 * 3 * 4,
    ],
    [
      'conv2d strided',
      () => layers.conv2d({ filters: 4, kernelSize: 2, strides: 2 }),
      image,
      12 * 4 * 3 * 4,
    ],
    ['conv3d', () => layers.conv3d({ filters: 2, kernelSize: 2 }), [3, 3, 3, 2], 8 * 8 * 2 * 2],
    [
      'conv2d transposed',
      () => layers.conv2dTranspose({ filters: 4, kernelSize: 2, strides: 2 }),
      image,
      48 * 4 * 3 * 4,
    ],
    [
      'depthwise',
      () => layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same' }),
      image,
      48 * 9 * 3 * 2,
    ],
    [
      'separable',
      () =>
        layers.separableConv2d({ filters: 5, kernelSize: 3, padding: 'same', depthMultiplier: 2 }),
      image,
      48 * (9 * 6 + 6 * 5),
    ],
    ['lstm', () => lstm({ units: 3 }), steps, 5 * (4 * 12 + 3 * 12)],
    [
      'gru',
      () => layers.gru({ units: 3, recurrentInitializer: 'zeros' }),
      steps,
      5 * (4 * 9 + 3 * 9),
    ],
    [
      'simple rnn',
      () => layers.simpleRNN({ units: 3, recurrentInitializer: 'zeros' }),
      steps,
      5 * (4 * 3 + 3 * 3),
    ],
    [
      'bidirectional',
      () => layers.bidirectional({ layer: lstm({ units: 3 }), mergeMode: 'concat' }),
      steps,
      2 * 5 * (4 * 12 + 3 * 12),
    ],
    [
      'time distributed',
      () => layers.timeDistributed({ layer: layers.dense({ units: 7 }) }),
      steps,
      5 * 28,
    ],
    ['time distributed model', () => layers.timeDistributed({ layer: inner() }), steps, 5 * 28],
    ['nested model', inner, [4], 28],
    ['embedding', () => layers.embedding({ inputDim: 9, outputDim: 3 }), [6], 0],
    ['normalisation', () => layers.batchNormalization(), image, 0],
    ['pooling', () => layers.maxPooling2d({ poolSize: 2 }), image, 0],
  ])('%s', (_, make, shape, macs) => {
    const model = given(() => {
      const x = tfl.input({ shape });
      return tfl.model({ inputs: x, outputs: apply(make(), x) });
    });
    expect(viewModel(model).layers.at(-1)!.macs).toBe(macs);
  });

  it('are known of every class of tfjs', () => {
    const unknown = Object.keys(LAYERS).flatMap((name) =>
      variantsOf(name).flatMap((options) => {
        const { layers } = viewModel(given(() => modelOf(name, options)));
        return layers.filter(({ macs }) => macs === undefined).map(({ className }) => className);
      }),
    );
    expect(unknown).toEqual([]);
  });

  it.each<[string, () => tfl.layers.Layer, number[][], number]>([
    // For each of the 4 outputs, 3 products.
    ['dot', () => layers.dot({ axes: 1 }), [[3, 2], [3, 2]], 4 * 3], // prettier-ignore
    ['dot of vectors', () => layers.dot({ axes: -1 }), [[5], [5]], 5],
    // 2 × 2 positions, 4 gates of 2 filters: 2 × 2 × 3 of the input, 2 × 2 × 2 of the state; 3 steps.
    [
      'convLstm2d',
      () =>
        layers.convLstm2d({
          filters: 2,
          kernelSize: 2,
          strides: 2,
          recurrentInitializer: 'glorotUniform',
        }),
      [[3, 4, 4, 3]],
      3 * 4 * 8 * (12 + 8),
    ],
  ])('%s', (_, make, shapes, macs) => {
    const model = given(() => {
      const inputs = shapes.map((shape) => tfl.input({ shape }));
      return tfl.model({ inputs, outputs: apply(make(), ...inputs) });
    });
    expect(viewModel(model).layers.at(-1)!.macs).toBe(macs);
  });

  describe('of a layer that does not tell them', () => {
    class Untold extends tfl.layers.Layer {
      static readonly className: string = 'TestUntold';
      override call(inputs: tf.Tensor | tf.Tensor[]) {
        return tf.clone(Array.isArray(inputs) ? inputs[0]! : inputs);
      }
    }
    class Mistold extends Untold {
      static override readonly className = 'TestMistold';
      macs() {
        return NaN;
      }
    }
    /** A cell of one’s own may do anything. */
    class Cell extends tfl.layers.RNNCell {
      static readonly className = 'TestCell';
      readonly stateSize = 2;
      override call(inputs: tf.Tensor | tf.Tensor[]) {
        const [x] = inputs as tf.Tensor[];
        return [tf.clone(x!), tf.clone(x!)];
      }
    }
    const behindDense = (layer: tfl.layers.Layer) =>
      tfl.sequential({
        layers: [
          layers.dense({ units: 2, inputShape: [2], name: 'first' }),
          layer,
          layers.dense({ units: 3, name: 'last' }),
        ],
      });
    const untold = () => new Untold({ name: 'untold' });

    it.each<[string, () => LayersModel]>([
      ['one of one’s own', () => behindDense(untold())],
      ['what it tells is no count', () => behindDense(new Mistold({ name: 'untold' }))],
      ['inside of a nested model', () => behindDense(nestedAs('untold', untold()))],
      [
        'inside of a wrapper',
        () =>
          tfl.sequential({
            layers: [
              layers.timeDistributed({ layer: untold(), name: 'untold', inputShape: [3, 2] }),
              layers.flatten(),
              layers.dense({ units: 3, name: 'last' }),
            ],
          }),
      ],
      [
        'a cell',
        () =>
          tfl.sequential({
            layers: [
              layers.rnn({ cell: new Cell({}) as never, name: 'untold', inputShape: [3, 2] }),
              layers.dense({ units: 3, name: 'last' }),
            ],
          }),
      ],
    ])('%s: they are unknown, and so is a sum with them', (_, make) => {
      const view = viewModel(given(make));
      expect(view.layers.find(({ name }) => name === 'untold')!.macs).toBeUndefined();
      expect(countMacsTo(view, ['last'])).toBeUndefined();
      expect(listUncountedLayers(view, ['last'])).toEqual([
        expect.stringMatching(/^untold \(\w+\)$/),
      ]);
      expect(countMacs(view.layersModel, [], [])).toBeUndefined();
    });

    it('a sum without it is known', () => {
      const view = viewModel(given(() => behindDense(untold())));
      expect(countMacsTo(view, ['first'])).toBe(4);
      expect(listUncountedLayers(view, ['first'])).toEqual([]);
    });

    function nestedAs(name: string, layer: tfl.layers.Layer): LayersModel {
      const x = tfl.input({ shape: [2] });
      return tfl.model({ inputs: x, outputs: apply(layer, x), name });
    }
  });

  it('of a layer of one’s own are what it says', () => {
    class Counted extends tfl.layers.Layer {
      static readonly className = 'TestCounted';
      macs(input: readonly number[], output: readonly number[]) {
        return input[1]! * 10 + output[1]!;
      }
    }
    const model = given(() => {
      const x = tfl.input({ shape: [3] });
      return tfl.model({ inputs: x, outputs: apply(new Counted({}), x) });
    });
    expect(viewModel(model).layers[1]!.macs).toBe(33);
  });

  it('up to a layer count each ancestor once, and a shared layer for each call', () => {
    const view = viewModel(given(MODELS['residual with two outputs']!));
    const conv = 16 * 9 * 2 * 2;
    expect(countMacsTo(view, ['main'])).toBe(conv + 6);
    expect(countMacsTo(view, ['aux', 'main'])).toBe(conv + 64 + 6);
    const shared = viewModel(given(MODELS['shared layer']!));
    expect(countMacsTo(shared, shared.outputNames)).toBe(2 * 12 + 16);
    expect(() => countMacsTo(view, ['mian'])).toThrow(/Did you mean 'main'\?/);
  });
});
