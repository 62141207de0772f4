import {
  buildModel,
  disposeModel,
  extractGraph,
  listParameters,
  withKeyedInit,
} from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { apply, initStreams } from './models.js';

const { layers } = tfl;

beforeAll(async () => void (await tf.setBackend('cpu')));

const dense = (name?: string) => layers.dense({ units: 3, activation: 'tanh', name });
const half = (name?: string, inner = dense) => {
  const x = tfl.input({ shape: [3] });
  return tfl.model({ inputs: x, outputs: apply(inner(), apply(inner(), x)), name });
};
const stack = () =>
  tfl.sequential({ layers: [layers.dense({ units: 3, inputShape: [3] }), dense()] });
const over = (...parts: tfl.layers.Layer[]): LayersModel => {
  const x = tfl.input({ shape: [3] });
  const outputs = parts.reduce<SymbolicTensor>((y, part) => apply(part, y), x);
  return tfl.model({ inputs: x, outputs });
};
const overSteps = (...parts: tfl.layers.Layer[]): LayersModel => {
  const x = tfl.input({ shape: [2, 3] });
  const outputs = parts.reduce<SymbolicTensor>((y, part) => apply(part, y), x);
  return tfl.model({ inputs: x, outputs });
};

/** A layer of one's own that holds a model and computes twice with it. */
class Twice extends layers.Layer {
  static readonly className = 'TestTwiceOver';
  readonly #model: LayersModel;
  constructor({ model, ...rest }: { model: LayersModel }) {
    super(rest as never);
    this.#model = model;
  }
  override build(shape: tfl.Shape) {
    this.trainableWeights = this.#model.trainableWeights;
    super.build(shape);
  }
  override call(inputs: tf.Tensor | tf.Tensor[]) {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return this.#model.apply(this.#model.apply(x)) as tf.Tensor;
  }
  override getConfig() {
    const model = { className: this.#model.getClassName(), config: this.#model.getConfig() };
    return { ...super.getConfig(), model: model as never };
  }
  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    { model, ...rest }: tf.serialization.ConfigDict,
  ): T {
    const { config } = model as { config: tf.serialization.ConfigDict };
    const made = tfl.Sequential.fromConfig<LayersModel>(tfl.Sequential as never, config);
    return new cls({ ...rest, model: made } as never);
  }
}
tf.serialization.registerClass(Twice as never);

const NESTED: Readonly<Record<string, () => LayersModel>> = {
  'decoder behind encoder': () => over(half('encoder'), half('decoder')),
  'both with automatic names': () => over(half(), half()),
  'a head on a base with automatic names': () => over(stack(), dense()),
  'a base in the middle': () => over(dense(), stack(), dense()),
  'a model called twice': () => {
    const shared = half();
    return over(shared, shared, dense());
  },
  'models three deep': () => over(dense(), over(dense(), stack(), dense()), dense()),
  'a model inside of TimeDistributed': () =>
    overSteps(dense(), layers.timeDistributed({ layer: half() }), dense()),
  'two of them': () =>
    overSteps(
      layers.timeDistributed({ layer: stack() }),
      layers.timeDistributed({ layer: stack() }),
    ),
  'a nested model with one inside of TimeDistributed': () =>
    overSteps(dense(), overSteps(layers.timeDistributed({ layer: stack() }), dense()), dense()),
  'inside of a layer of one’s own': () => over(dense(), new Twice({ model: stack() }), dense()),
  bidirectional: () =>
    overSteps(
      layers.bidirectional({
        layer: layers.gru({
          units: 3,
          recurrentInitializer: 'glorotUniform',
          returnSequences: true,
        }),
        mergeMode: 'sum',
      }),
      dense(),
    ),
};

/** Through what `model.save` writes. */
async function loadedByTfjs(model: LayersModel): Promise<LayersModel> {
  let json = '';
  let weightData: tf.io.WeightData | undefined;
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      ({ weightData } = artifacts);
      json = JSON.stringify({ ...artifacts, weightData: undefined });
      return Promise.resolve({ modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) });
    }),
  );
  const artifacts = JSON.parse(json) as tf.io.ModelArtifacts;
  return tfl.loadLayersModel(tf.io.fromMemory({ ...artifacts, weightData }));
}

function predictionOf(model: LayersModel): number[] {
  return tf.tidy(() => {
    const shape = model.inputs[0]!.shape.map((length) => length ?? 2);
    const x = tf.reshape(tf.linspace(-1, 1, tf.util.sizeFromShape(shape)), shape);
    return [...(model.predict(x) as tf.Tensor).dataSync()];
  });
}

const pathsOf = (model: LayersModel) => listParameters(model).map(({ path }) => path);

describe.each(Object.entries(NESTED))('nested: %s', (_, make) => {
  it('is written and read by plain tfjs once it is built again', async () => {
    const model = withKeyedInit(initStreams, make);
    const twin = buildModel(extractGraph(model));
    const loaded = await loadedByTfjs(twin);
    const again = buildModel(extractGraph(loaded));
    for (const each of [twin, loaded, again]) {
      expect(predictionOf(each)).toEqual(predictionOf(model));
      expect(pathsOf(each)).toEqual(pathsOf(model));
    }
    expect(extractGraph(twin).topology).toEqual(extractGraph(model).topology);
    [model, twin, loaded, again].forEach(disposeModel);
  });

  it('has the same topology in every build', () => {
    const [a, b] = [make(), make()];
    expect(extractGraph(a).topology).toEqual(extractGraph(b).topology);
    expect(pathsOf(a)).toEqual(pathsOf(b));
    [a, b].forEach(disposeModel);
  });
});

describe('names that somebody chose', () => {
  it('stay where they are unique, in nested models too', () => {
    const model = over(
      half('encoder', () => dense()),
      dense('head'),
    );
    const inner = (model.layers[1] as LayersModel).layers;
    const twin = buildModel(extractGraph(model));
    expect(twin.layers.map(({ name }) => name)).toEqual(['input_1', 'encoder', 'head']);
    expect(inner).toHaveLength(3);
    const [, first] = (twin.layers[1] as LayersModel).layers;
    expect(first!.name).toBe('dense_1');
    [model, twin].forEach(disposeModel);
  });

  it('get the name of their model behind them where they are not', () => {
    const model = over(
      half('a', () => dense()),
      half('b', () => dense()),
      dense('dense_1'),
    );
    const twin = buildModel(extractGraph(model));
    const names = (i: number) => (twin.layers[i] as LayersModel).layers.map(({ name }) => name);
    expect(twin.layers.map(({ name }) => name)).toEqual(['input_1', 'a', 'b', 'dense_1']);
    expect(names(1)).toEqual(['input_1.of.a', 'dense_1.of.a', 'dense_2.of.a']);
    expect(names(2)).toEqual(['input_1.of.b', 'dense_1.of.b', 'dense_2.of.b']);
    expect(listParameters(twin).map(({ path }) => path)).toEqual(
      listParameters(model).map(({ path }) => path),
    );
    [model, twin].forEach(disposeModel);
  });
});
