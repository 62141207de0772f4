import {
  addOutput,
  appendLayers,
  buildModel,
  disposeModel,
  extractGraph,
  keepOutputs,
  Network,
  listParameters,
  replaceLayer,
} from '@espalier/model';
import type { ModelGraph } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { apply, inputsFor, leftBehind, MODELS, randomModel, steps, valuesOf } from './models.js';

const { layers } = tfl;
const made: LayersModel[] = [];

beforeAll(async () => void (await tf.setBackend('cpu')));
afterEach(() => made.splice(0).forEach(disposeModel));

function given(make: () => LayersModel): LayersModel {
  const model = make();
  made.push(model);
  return model;
}
const built = (graph: ModelGraph) => given(() => buildModel(graph));

function run(model: LayersModel, features: readonly string[] = []) {
  return tf.tidy(() => {
    const network = new Network(model);
    const inputs = inputsFor(model, network.inputNames);
    const result = network.execute(inputs, { training: false, features });
    return { outputs: valuesOf(result.outputs), features: valuesOf(result.features) };
  });
}
const names = (graph: ModelGraph) => graph.topology.config.layers.map(({ name }) => name);

describe('appendLayers', () => {
  it('hangs a chain behind a layer and leaves the rest bit-identical', () => {
    const model = given(MODELS['residual with two outputs']!);
    const graph = extractGraph(model);
    const untouched = JSON.stringify(graph.topology);
    const chain = [layers.flatten(), layers.dense({ units: 2, name: 'exit', useBias: false })];
    const edited = appendLayers(graph, { after: 'conv2d_1', layers: chain, output: true });
    const bigger = built(edited);
    const { outputs, features } = run(bigger, ['flatten_2']);
    expect(Object.keys(outputs)).toEqual(['main', 'aux', 'exit']);
    expect(outputs).toMatchObject(run(model).outputs);
    const exit = tf.tidy(() => {
      const kernel = extractGraph(bigger).weights['exit/kernel'] as tf.Tensor2D;
      return [...tf.matMul(tf.tensor2d(features['flatten_2']!, [3, 32]), kernel).dataSync()];
    });
    expect(outputs['exit']).toEqual(exit);
    expect(JSON.stringify(graph.topology)).toBe(untouched);
    expect(JSON.parse(JSON.stringify(edited.topology))).toEqual(edited.topology);
  });

  it('takes the weights of layers that are built, nested models and what is frozen in them too', () => {
    const model = given(MODELS['sequential']!);
    const inner = given(() =>
      tfl.sequential({ layers: [layers.dense({ units: 3, inputShape: [4] })], name: 'inner' }),
    );
    inner.layers[0]!.trainable = false;
    const edited = appendLayers(extractGraph(model), {
      after: 'dense_1',
      layers: [inner],
      output: true,
    });
    const bigger = built(edited);
    const kernel = listParameters(bigger).find(({ path }) => path === 'inner/dense_1/kernel')!;
    expect(kernel.trainable).toBe(false);
    expect(valuesOf(extractGraph(bigger).weights)['inner/dense_1/kernel']).toEqual([
      ...inner.weights[0]!.read().dataSync(),
    ]);
    expect(new Network(bigger).outputNames).toEqual(['head', 'inner']);
  });

  it('is left out of the built model while no output needs it', () => {
    const model = given(MODELS['sequential']!);
    const layer = layers.dense({ units: 1, name: 'loose' });
    const loose = appendLayers(extractGraph(model), { after: 'dense_1', layers: [layer] });
    expect(extractGraph(built(loose)).topology).toEqual(extractGraph(model).topology);
    expect(new Network(built(addOutput(loose, 'loose'))).outputNames).toEqual(['head', 'loose']);
  });

  it('can be undone by keepOutputs on any model (random graphs)', () => {
    fc.assert(
      fc.property(steps, (plan) => {
        const model = randomModel(plan);
        const graph = extractGraph(model);
        const { outputNames } = new Network(model);
        const after = 'input_1';
        const exit = layers.dense({ units: 2, name: 'exit' });
        const bigger = appendLayers(graph, { after, layers: [exit], output: true });
        const back = buildModel(keepOutputs(bigger, outputNames));
        expect(extractGraph(back).topology).toEqual(graph.topology);
        expect(run(back)).toEqual(run(model));
        [model, back].forEach(disposeModel);
      }),
      { numRuns: 25 },
    );
  });
});

describe('keepOutputs', () => {
  it('drops layers and weights that only other outputs need', () => {
    const model = given(MODELS['residual with two outputs']!);
    const kept = keepOutputs(extractGraph(model), ['main']);
    expect(names(kept)).not.toContain('aux');
    expect(names(kept)).not.toContain('flatten_1');
    expect(Object.keys(kept.weights)).not.toContain('aux/kernel');
    const { main } = run(model).outputs;
    expect(run(built(kept)).outputs).toEqual({ main });
  });

  it('drops calls of shared layers and inputs', () => {
    const model = given(() => {
      const [a, b] = [tfl.input({ shape: [3], name: 'a' }), tfl.input({ shape: [3], name: 'b' })];
      const shared = layers.dense({ units: 3 });
      const [left, right] = [apply(shared, a), apply(shared, b)];
      const outputs = [left, right].map((x, i) => apply(layers.reLU({ name: `relu-${i}` }), x));
      return tfl.model({ inputs: [a, b], outputs });
    });
    const kept = built(keepOutputs(extractGraph(model), ['relu-1']));
    const network = new Network(kept);
    expect(network.inputNames).toEqual(['b']);
    expect(run(kept).outputs).toEqual({ 'relu-1': run(model).outputs['relu-1'] });
  });
});

describe('replaceLayer', () => {
  it('puts a layer with given weights in the place and under the name of another', () => {
    const model = given(MODELS['sequential']!);
    const kernel = tf.ones([3, 4]);
    const layer = layers.dense({ units: 4, useBias: false, name: 'ignored' });
    const leaked = leftBehind(() => {
      const edited = buildModel(replaceLayer(extractGraph(model), 'dense_1', layer, { kernel }));
      expect(listParameters(edited).map(({ path }) => path)).not.toContain('dense_1/bias');
      expect(valuesOf(extractGraph(edited).weights)['dense_1/kernel']).toEqual(Array(12).fill(1));
      const others = Object.keys(extractGraph(edited).weights).filter(
        (path) => path !== 'dense_1/kernel',
      );
      const before = valuesOf(extractGraph(model).weights);
      others.forEach((path) =>
        expect(valuesOf(extractGraph(edited).weights)[path]).toEqual(before[path]),
      );
      disposeModel(edited);
    });
    expect(leaked).toBe(0);
    kernel.dispose();
  });

  it('replaces a shared layer in all its calls', () => {
    const model = given(MODELS['shared layer']!);
    const kernel = tf.zeros([3, 4]);
    const bias = tf.tensor1d([1, 2, 3, 4]);
    const layer = layers.dense({ units: 4 });
    const edited = built(replaceLayer(extractGraph(model), 'dense_1', layer, { kernel, bias }));
    const { features } = run(edited, ['concatenate_1']);
    expect(features['concatenate_1']!.slice(0, 8)).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    tf.dispose([kernel, bias]);
  });
});

describe('addOutput', () => {
  it('makes an inner layer an output, once', () => {
    const model = given(MODELS['sequential']!);
    const edited = addOutput(extractGraph(model), 'dropout_1');
    expect(addOutput(edited, 'dropout_1')).toBe(edited);
    const { outputs } = run(built(edited));
    expect(outputs['dropout_1']).toEqual(run(model, ['dropout_1']).features['dropout_1']);
  });

  it('reaches a nested model as a whole', () => {
    const model = given(MODELS['sequential in sequential']!);
    const edited = built(addOutput(extractGraph(model), 'middle'));
    expect(run(edited).outputs['middle']).toEqual(run(model, ['middle']).features['middle']);
  });
});

describe('edits refuse', () => {
  const dense = layers.dense({ units: 1, name: 'new' });
  const append = (make: () => LayersModel, after: string, layer: tfl.layers.Layer = dense) =>
    appendLayers(extractGraph(given(make)), { after, layers: [layer], output: true });

  it.each<[string, () => unknown, RegExp]>([
    [
      'an unknown layer',
      () => append(MODELS['sequential']!, 'hed'),
      /Did you mean 'head'\?.*unknown-layer/s,
    ],
    [
      'the inside of a nested model',
      () => append(MODELS['sequential in sequential']!, 'middle/dense_1'),
      /cannot edit inside nested model: .*'middle'.*edit\/nested/s,
    ],
    [
      'the output of a shared layer',
      () => append(MODELS['shared layer']!, 'dense_1'),
      /called 2 times.*edit\/shared/s,
    ],
    [
      'a name that is taken',
      () => append(MODELS['sequential']!, 'dense_1', layers.dense({ units: 1, name: 'head' })),
      /already a layer 'head'.*name-taken/s,
    ],
    [
      'the output of a layer with several',
      () => {
        const args = {
          units: 2,
          returnState: true,
          recurrentInitializer: 'glorotUniform',
        } as const;
        const x = tfl.input({ shape: [4, 2] });
        const [y] = layers.gru({ ...args, name: 'gru' }).apply(x) as tfl.SymbolicTensor[];
        return append(() => tfl.model({ inputs: x, outputs: y! }), 'gru');
      },
      /several outputs.*edit\/several-outputs/s,
    ],
    [
      'an unknown output',
      () => keepOutputs(extractGraph(given(MODELS['residual with two outputs']!)), ['mian']),
      /no output 'mian'.*Did you mean 'main'\?/s,
    ],
    [
      'to keep nothing',
      () => keepOutputs(extractGraph(given(MODELS['sequential']!)), []),
      /no output to keep/,
    ],
  ])('%s', (_, edit, message) => {
    expect(edit).toThrow(message);
  });

  it('a chain whose shapes do not fit, when built, and leave nothing behind', () => {
    const model = given(MODELS['sequential']!);
    const conv = layers.conv2d({ filters: 1, kernelSize: 1, name: 'conv' });
    const chain = [layers.dense({ units: 9, name: 'fine' }), conv];
    const edited = appendLayers(extractGraph(model), {
      after: 'dense_1',
      layers: chain,
      output: true,
    });
    expect(leftBehind(() => expect(() => buildModel(edited)).toThrow(/conv.*model\/build/s))).toBe(
      0,
    );
  });
});
