import {
  buildModel,
  canonicalNames,
  disposeModel,
  extractGraph,
  Network,
  listParameters,
  withKeyedInit,
} from '@espalier/model';
import type { LayerEntry } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  initStreams,
  inputsFor,
  leftBehind,
  MODELS,
  randomModel,
  steps,
  valuesOf,
} from './models.js';

const { layers } = tfl;

beforeAll(async () => void (await tf.setBackend('cpu')));

function outputsOf(model: LayersModel): Record<string, number[]> {
  return tf.tidy(() => {
    const network = new Network(model);
    const inputs = inputsFor(model, network.inputNames);
    return valuesOf(network.execute(inputs, { training: false }).outputs);
  });
}

function roundTrip(model: LayersModel): LayersModel {
  const { topology, weights } = extractGraph(model);
  return buildModel({ topology: JSON.parse(JSON.stringify(topology)), weights });
}

const pathsOf = (model: LayersModel) => listParameters(model).map(({ path }) => path);

describe('paths', () => {
  it('keep chosen names, number the others, and nest', () => {
    const model = MODELS['sequential in sequential']!();
    expect(pathsOf(model)).toEqual([
      'dense_1/kernel',
      'dense_1/bias',
      'dense_2/kernel',
      'dense_2/bias',
      'middle/dense_1/kernel',
      'middle/dense_1/bias',
      'middle/batch_normalization_1/gamma',
      'middle/batch_normalization_1/beta',
      'middle/batch_normalization_1/moving_mean',
      'middle/batch_normalization_1/moving_variance',
      'dense_3/kernel',
      'dense_3/bias',
    ]);
    disposeModel(model);
  });

  it('number past a name that somebody chose', () => {
    const dense = (name?: string) => layers.dense({ units: 1, inputShape: [1], name });
    const model = tfl.sequential({ layers: [dense(), dense('dense_1'), dense()] });
    expect([...canonicalNames(model).values()]).toEqual([
      'input_1',
      'dense_2',
      'dense_1',
      'dense_3',
    ]);
    disposeModel(model);
  });

  it('tell the weights of several cells and directions apart, frozen or not', () => {
    const model = MODELS['recurrent']!();
    const paths = pathsOf(model);
    expect(paths).toContain('bidirectional_1/recurrent_kernel#2');
    expect(paths).toContain('rnn_1/kernel#2');
    const shapes = listParameters(model).map(({ shape }) => shape);
    const stacked = model.layers.at(-1) as unknown as { cell: { cells: tfl.layers.Layer[] } };
    stacked.cell.cells[0]!.trainable = false;
    expect(pathsOf(model)).toEqual(paths);
    expect(listParameters(model).map(({ shape }) => shape)).toEqual(shapes);
    disposeModel(model);
  });

  it('have every parameter once and are the same in a second build (random graphs)', () => {
    fc.assert(
      fc.property(steps, (plan) => {
        const [a, b] = [randomModel(plan), randomModel(plan)];
        expect(pathsOf(a)).toEqual(pathsOf(b));
        expect(extractGraph(a).topology).toEqual(extractGraph(b).topology);
        expect(new Set(pathsOf(a)).size).toBe(a.weights.length);
        const chosen = a.layers.map(({ name }) => name).filter((name) => /^shared$|-/.test(name));
        expect([...canonicalNames(a).values()]).toEqual(expect.arrayContaining(chosen));
        [a, b].forEach(disposeModel);
      }),
      { numRuns: 40 },
    );
  });
});

describe.each(Object.entries(MODELS))('graph of: %s', (_, make) => {
  it('builds a twin with bit-identical outputs and the same graph, and leaks nothing', () => {
    const leaked = leftBehind(() => {
      const model = withKeyedInit(initStreams, make);
      const twin = roundTrip(model);
      expect(outputsOf(twin)).toEqual(outputsOf(model));
      expect(extractGraph(twin).topology).toEqual(extractGraph(model).topology);
      expect(valuesOf(extractGraph(twin).weights)).toEqual(valuesOf(extractGraph(model).weights));
      [model, twin].forEach(disposeModel);
    });
    expect(leaked).toBe(0);
  });
});

describe('graph', () => {
  it('survives the round trip of any model (random graphs)', () => {
    fc.assert(
      fc.property(steps, (plan) => {
        const model = randomModel(plan);
        const twin = roundTrip(model);
        expect(outputsOf(twin)).toEqual(outputsOf(model));
        expect(extractGraph(twin).topology).toEqual(extractGraph(model).topology);
        [model, twin].forEach(disposeModel);
      }),
      { numRuns: 40 },
    );
  });

  it('copies weights: training the twin leaves the model alone', () => {
    const model = MODELS['sequential']!();
    const before = outputsOf(model);
    const twin = roundTrip(model);
    tf.tidy(() =>
      listParameters(twin).forEach(({ variable }) => variable.write(tf.zerosLike(variable.read()))),
    );
    expect(outputsOf(model)).toEqual(before);
    [model, twin].forEach(disposeModel);
  });

  it('keeps what is frozen frozen, in nested models and in single weights too', () => {
    const model = MODELS['sequential in sequential']!();
    model.layers[1]!.trainable = false;
    const bias = listParameters(model).find(({ path }) => path === 'dense_3/bias')!.variable;
    Object.assign(bias, { trainable: false });
    const flags = (m: LayersModel) =>
      listParameters(m).map(({ path, trainable }) => [path, trainable]);
    const twin = roundTrip(model);
    expect(flags(twin)).toEqual(flags(model));
    expect(flags(twin)).toContainEqual(['middle/dense_1/kernel', false]);
    expect(flags(twin)).toContainEqual(['dense_3/kernel', true]);
    [model, twin].forEach(disposeModel);
  });

  it('copies constrained weights exactly, without applying the constraint again', () => {
    const kernelConstraint = tfl.constraints.unitNorm({ axis: 0 });
    const model = tfl.sequential({
      layers: [layers.dense({ units: 3, inputShape: [5], kernelConstraint })],
    });
    const twin = roundTrip(model);
    expect(valuesOf(extractGraph(twin).weights)).toEqual(valuesOf(extractGraph(model).weights));
    [model, twin].forEach(disposeModel);
  });

  it('keeps NaN and infinities of a configuration, and refuses what would be lost', () => {
    class Clip extends tfl.layers.Layer {
      static readonly className = 'ClipOfGraphTest';
      readonly limits: unknown;
      constructor(config: { readonly limits: unknown; readonly name?: string }) {
        super(config);
        this.limits = config.limits;
      }
      override getConfig() {
        return { ...super.getConfig(), limits: this.limits as never };
      }
    }
    tf.serialization.registerClass(Clip as never);
    const modelWith = (limits: unknown) => {
      const x = tfl.input({ shape: [undefined as never, 2] });
      const y = new Clip({ limits, name: 'clip' }).apply(x) as tfl.SymbolicTensor;
      return tfl.model({ inputs: x, outputs: y });
    };
    const limits = [-Infinity, NaN, { upper: Infinity }];
    const twin = buildModel(extractGraph(modelWith(limits)));
    expect((twin.getLayer('clip') as Clip).limits).toStrictEqual(limits);
    expect(twin.inputs[0]!.shape).toEqual([null, null, 2]);
    expect(() => extractGraph(modelWith({ by: new Map() }))).toThrow(
      /'clip\.config\.limits\.by'.*Map/,
    );
  });

  it('keeps layer names that hold slashes', () => {
    const dense = (name: string) => layers.dense({ units: 2, inputShape: [2], name });
    const model = tfl.sequential({ layers: [dense('block'), dense('block/conv')] });
    const twin = roundTrip(model);
    expect(outputsOf(twin)).toEqual(outputsOf(model));
    [model, twin].forEach(disposeModel);
  });

  it('refuses a layer whose class is not registered, wherever it hides', () => {
    class Twice extends tfl.layers.Layer {
      static readonly className = 'TestTwice';
      override call(inputs: tf.Tensor | tf.Tensor[]) {
        return tf.mul(Array.isArray(inputs) ? inputs[0]! : inputs, 2);
      }
    }
    const twice = new Twice({ name: 'twice', inputShape: [3] });
    const inner = tfl.sequential({ layers: [twice], name: 'inner' });
    const model = tfl.sequential({ layers: [layers.dense({ units: 3, inputShape: [3] }), inner] });
    const wanted =
      /layer 'inner'.*'TestTwice'.*registerClass\(TestTwice\).*model\/unregistered-layer/s;
    expect(() => extractGraph(model)).toThrow(wanted);
    tf.serialization.registerClass(Twice);
    const twin = roundTrip(model);
    expect(outputsOf(twin)).toEqual(outputsOf(model));
    [model, twin].forEach(disposeModel);
  });

  it('refuses a layer shared between two nested models, which JSON cannot say', () => {
    const shared = layers.dense({ units: 3, name: 'shared' });
    const nest = (name: string) => {
      const x = tfl.input({ shape: [3] });
      return tfl.model({ inputs: x, outputs: apply(shared, x), name });
    };
    const x = tfl.input({ shape: [3] });
    const model = tfl.model({ inputs: x, outputs: apply(nest('b'), apply(nest('a'), x)) });
    expect(pathsOf(model)).toEqual(['a/shared/kernel', 'a/shared/bias']);
    expect(() => extractGraph(model)).toThrow(/'a\/shared' and 'b\/shared'.*model\/shared-across/s);
    disposeModel(model);
  });

  it('names what is wrong with weights, and leaves nothing behind', () => {
    const model = MODELS['sequential']!();
    const { topology, weights } = extractGraph(model);
    const wrong = tf.zeros([4, 4]);
    const build = (extra: Record<string, tf.Tensor>) => () =>
      buildModel({ topology, weights: { ...weights, ...extra } });
    const leaked = leftBehind(() => {
      expect(build({ 'dense_1/kernell': wrong })).toThrow(/Did you mean 'dense_1\/kernel'\?/);
      expect(build({ 'dense_1/kernel': wrong })).toThrow(/shape \[3, 4\].*\[4,4\].*weight-shape/s);
    });
    expect(leaked).toBe(0);
    wrong.dispose();
    disposeModel(model);
  });

  it('refuses references into nowhere and cycles, on which tfjs would hang', () => {
    const model = MODELS['sequential']!();
    const { topology, weights } = extractGraph(model);
    const { config } = topology;
    const from = (...ref: [string, number, number]) => {
      const wrong = (entry: LayerEntry) => ({ ...entry, inboundNodes: [[ref]] });
      const layers = config.layers.map((entry) =>
        entry.name === 'dense_1' ? wrong(entry) : entry,
      );
      return () =>
        buildModel({ topology: { ...topology, config: { ...config, layers } }, weights });
    };
    expect(from('nowhere', 0, 0)).toThrow(/call 0 of 'nowhere'.*model\/broken-graph/s);
    expect(from('input_1', 1, 0)).toThrow(/call 1 of 'input_1'/);
    expect(from('head', 0, 0)).toThrow(/call 0 of 'head', which is not there or depends on itself/);
    disposeModel(model);
  });
});
