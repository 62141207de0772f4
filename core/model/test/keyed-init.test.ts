import {
  appendLayers,
  buildModel,
  disposeModel,
  extractGraph,
  withKeyedInit,
} from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { initStreams, MODELS, valuesOf } from './models.js';

const { layers } = tfl;

beforeAll(async () => void (await tf.setBackend('cpu')));

function initialValues(make: () => LayersModel): Record<string, number[]> {
  const model = withKeyedInit(initStreams, make);
  const values = valuesOf(extractGraph(model).weights);
  disposeModel(model);
  return values;
}

const INITIALIZERS = [
  'glorotNormal',
  'glorotUniform',
  'heNormal',
  'heUniform',
  'leCunNormal',
  'leCunUniform',
  'randomNormal',
  'randomUniform',
  'truncatedNormal',
] as const;

describe('withKeyedInit', () => {
  it.each(Object.entries(MODELS))('makes two builds bit-identical: %s', (_, make) => {
    expect(initialValues(make)).toEqual(initialValues(make));
  });

  it.each(INITIALIZERS)('serves %s from the stream of its weight', (kernelInitializer) => {
    const make = (name: string) => () =>
      tfl.sequential({
        layers: [layers.dense({ units: 3, inputShape: [4], kernelInitializer, name })],
      });
    const [a, again, b] = ['a', 'a', 'b'].map((name) => initialValues(make(name)));
    expect(again).toEqual(a);
    expect(b!['b/kernel']).not.toEqual(a!['a/kernel']);
  });

  it('leaves initializers with a seed alone', () => {
    const seeded = tfl.initializers.glorotUniform({ seed: 3 });
    const make = (name: string) => () =>
      tfl.sequential({
        layers: [layers.dense({ units: 3, inputShape: [4], kernelInitializer: seeded, name })],
      });
    expect(initialValues(make('a'))['a/kernel']).toEqual(initialValues(make('b'))['b/kernel']);
  });

  it('does not shift a layer when another is added', () => {
    const make = (extra: boolean) => () =>
      tfl.sequential({
        layers: [
          layers.dense({ units: 4, inputShape: [4], name: 'first' }),
          ...(extra ? [layers.dense({ units: 4, name: 'extra' })] : []),
          layers.dense({ units: 4, name: 'last' }),
        ],
      });
    expect(initialValues(make(true))).toMatchObject(initialValues(make(false)));
  });

  it('gives weights of one name in two directions or models different values', () => {
    const values = initialValues(MODELS['recurrent']!);
    expect(values['bidirectional_1/kernel#2']).not.toEqual(values['bidirectional_1/kernel']);
    const inner = () =>
      tfl.sequential({ layers: [layers.dense({ units: 3, inputShape: [3], name: 'fc' })] });
    const twins = initialValues(() =>
      tfl.sequential({ layers: [layers.dense({ units: 3, inputShape: [3] }), inner(), inner()] }),
    );
    expect(twins['sequential_1/fc/kernel']).not.toEqual(twins['sequential_2/fc/kernel']);
  });

  it('draws the weights of appended layers, and only those', () => {
    const model = withKeyedInit(initStreams, MODELS['sequential']!);
    const layer = () => layers.dense({ units: 2, name: 'exit' });
    const build = () => {
      const edited = appendLayers(extractGraph(model), {
        after: 'dense_1',
        layers: [layer()],
        output: true,
      });
      const built = withKeyedInit(initStreams, () => buildModel(edited));
      const values = valuesOf(extractGraph(built).weights);
      disposeModel(built);
      return values;
    };
    const values = build();
    expect(values).toEqual(build());
    expect(values).toMatchObject(valuesOf(extractGraph(model).weights));
    disposeModel(model);
  });

  it('puts addWeight back, also when the factory throws', () => {
    const { addWeight } = tfl.layers.Layer.prototype as unknown as { addWeight: unknown };
    const fail = () => {
      throw new Error('no model');
    };
    expect(() => withKeyedInit(initStreams, fail)).toThrow('no model');
    expect(Reflect.get(tfl.layers.Layer.prototype, 'addWeight')).toBe(addWeight);
  });
});
