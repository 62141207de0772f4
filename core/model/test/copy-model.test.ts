import { keyedRng } from '@espalier/core';
import { buildModel, copyModel, disposeModel, extractGraph, withKeyedInit } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { LAYERS, modelOf, variantsOf, WITHOUT_ROW } from './every-layer.js';
import { apply, initStreams, leftBehind, MODELS } from './models.js';

const { layers } = tfl;

beforeAll(async () => void (await tf.setBackend('cpu')));

const stream = (...key: readonly string[]) => keyedRng('test', ...key);

/** What plain tfjs predicts, and what its constraints and regularizers do. */
function computedBy(model: LayersModel): unknown {
  return tf.tidy(() => {
    const draw = keyedRng('inputs');
    const x = model.inputs.map(({ shape, sourceLayer }) => {
      const full = shape.map((length) => length ?? 2);
      const ids = sourceLayer.outboundNodes.some(
        ({ outboundLayer }) => outboundLayer.getClassName() === 'Embedding',
      );
      const values = tf.util.sizeFromShape(full);
      return tf.tensor(
        Float32Array.from({ length: values }, () =>
          ids ? Math.floor(4 * draw()) : 2 * draw() - 1,
        ),
        full,
      );
    });
    const outputs = [model.predict(x)].flat();
    const constraints = model.weights.map((weight) => {
      const { constraint } = weight as unknown as {
        constraint?: { apply(x: tf.Tensor): tf.Tensor };
      };
      return constraint && [...constraint.apply(tf.add(weight.read(), 1)).dataSync()];
    });
    return {
      outputs: outputs.map((output) => [output.shape, ...output.dataSync()]),
      constraints,
      losses: model.layers.map(({ losses }) => losses.map((loss) => loss().dataSync()[0])),
    };
  });
}

/** What plain tfjs saves and reads again. */
async function savedAndLoaded(model: LayersModel): Promise<LayersModel> {
  let artifacts!: tf.io.ModelArtifacts;
  const handler = tf.io.withSaveHandler((given) => {
    artifacts = JSON.parse(JSON.stringify({ ...given, weightData: undefined })) as never;
    artifacts.weightData = given.weightData;
    return Promise.resolve({ modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(given) });
  });
  await model.save(handler);
  return tfl.loadLayersModel(tf.io.fromMemory(artifacts));
}

/** tfjs applies constraints to what it loads, and reads `gelu_new` as `geluNew`. */
function loadsInTfjs(options: Readonly<Record<string, unknown>>): boolean {
  const constrained = Object.keys(options).some((option) => option.endsWith('Constraint'));
  return !constrained && options['activation'] !== 'gelu_new';
}

test('the table has every function of tf.layers that makes a layer', () => {
  const makers = Object.entries(layers).filter(([name, f]) => {
    return typeof f === 'function' && name !== 'Layer' && /^[a-z]/.test(name);
  });
  const rows = [...Object.keys(LAYERS), ...Object.keys(WITHOUT_ROW)];
  expect(rows.sort()).toEqual(makers.map(([name]) => name).sort());
});

describe('built again, a layer computes what it computed, whatever its options', () => {
  test.each(Object.keys(LAYERS))('%s', async (name) => {
    for (const options of variantsOf(name)) {
      const model = withKeyedInit(initStreams, () => modelOf(name, options));
      const { topology, weights } = extractGraph(model);
      const twin = buildModel({ topology: JSON.parse(JSON.stringify(topology)), weights });
      const copy = copyModel(model, stream);
      const loaded = loadsInTfjs(options) ? [await savedAndLoaded(twin)] : [];
      const computed = computedBy(model);
      for (const each of [twin, copy, ...loaded]) {
        expect(computedBy(each), JSON.stringify(options)).toEqual(computed);
      }
      expect(extractGraph(twin).topology).toEqual(topology);
      [model, twin, copy, ...loaded].forEach(disposeModel);
    }
  });
});

/** A layer that computes with an option; which of its methods writes it down is up to the test. */
class Forgetful extends tfl.layers.Layer {
  static readonly className: string = 'TestForgetful';
  protected readonly amount: number;
  constructor(options: { amount?: number; name?: string; inputShape?: number[] } = {}) {
    super(options as never);
    this.amount = options.amount ?? 1;
  }
  override call(inputs: tf.Tensor | tf.Tensor[], _: object): tf.Tensor {
    return tf.mul(Array.isArray(inputs) ? inputs[0]! : inputs, this.amount);
  }
}

class ForgetfulNoise extends Forgetful {
  static override readonly className = 'TestForgetfulNoise';
  override call(inputs: tf.Tensor | tf.Tensor[], { training }: { training?: boolean }) {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return training ? tf.add(x, tf.randomNormal(x.shape, 0, this.amount)) : tf.clone(x);
  }
}

class ForgetfulAverage extends Forgetful {
  static override readonly className = 'TestForgetfulAverage';
  #average: tfl.LayerVariable | undefined;
  override build() {
    this.#average = this.addWeight(
      'average',
      [],
      'float32',
      tfl.initializers.zeros(),
      undefined,
      false,
    );
    this.built = true;
  }
  override call(inputs: tf.Tensor | tf.Tensor[], { training }: { training?: boolean }) {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    if (training) this.#average!.write(tf.mul(tf.mean(x), this.amount));
    return tf.clone(x);
  }
}

class ForgetfulRules extends Forgetful {
  static override readonly className = 'TestForgetfulRules';
  #scale: tfl.LayerVariable | undefined;
  constructor(private readonly rules: { constraint?: boolean; regularizer?: boolean } = {}) {
    super(rules as never);
  }
  override build() {
    const { constraint, regularizer } = this.rules;
    const rule = tfl.constraints.maxNorm({ maxValue: 0.5, axis: 0 });
    const penalty = tfl.regularizers.l2({ l2: 0.5 });
    this.#scale = this.addWeight(
      'scale',
      [4],
      'float32',
      tfl.initializers.ones(),
      regularizer ? penalty : undefined,
      true,
      constraint ? rule : undefined,
    );
    this.built = true;
  }
  override call(inputs: tf.Tensor | tf.Tensor[]) {
    return tf.mul(Array.isArray(inputs) ? inputs[0]! : inputs, this.#scale!.read());
  }
}

/** It learns what no checkpoint and no copy gets: a variable that is none of its weights. */
class Secretive extends Forgetful {
  static override readonly className = 'TestSecretive';
  readonly #bias = tf.tidy(() => tf.variable(tf.randomUniform([4], 0.5, 1)));
  override call(inputs: tf.Tensor | tf.Tensor[]) {
    return tf.add(Array.isArray(inputs) ? inputs[0]! : inputs, this.#bias);
  }
}

/** As an embedding of one's own may be: what is no row it refuses. */
class Rows extends Forgetful {
  static override readonly className = 'TestRows';
  override call(inputs: tf.Tensor | tf.Tensor[]) {
    const ids = tf.cast(Array.isArray(inputs) ? inputs[0]! : inputs, 'int32');
    const most = tf.max(ids).dataSync()[0]!;
    if (most >= 3 || tf.min(ids).dataSync()[0]! < 0) throw new Error(`there is no row ${most}`);
    return tf.oneHot(ids, 3, 1, 0, 'float32');
  }
  override computeOutputShape(shape: tfl.Shape): tfl.Shape {
    return [...shape, 3];
  }
  override getConfig() {
    return { ...super.getConfig(), inputDim: 3 };
  }
}

class Picky extends Forgetful {
  static override readonly className = 'TestPicky';
  override call(): tf.Tensor {
    throw new Error('these are no pictures');
  }
}

[Forgetful, ForgetfulNoise, ForgetfulAverage, ForgetfulRules, Secretive, Rows, Picky].forEach(
  (each) => tf.serialization.registerClass(each as never),
);

const before = () => layers.dense({ units: 4, inputShape: [4], name: 'before' });
const behind = () => layers.dense({ units: 2, name: 'behind' });
const chain = (...middle: tfl.layers.Layer[]) =>
  tfl.sequential({ layers: [before(), ...middle, behind()] });
const forgetful = () => new Forgetful({ amount: 3, name: 'forgetful' });

describe('a model that its configuration does not describe is refused, naming the layer', () => {
  it.each<[string, () => LayersModel, RegExp]>([
    [
      'an option',
      () => chain(forgetful()),
      /what layer 'forgetful' \(TestForgetful\) gives for inf/,
    ],
    [
      'an option that acts in training',
      () => chain(new ForgetfulNoise({ amount: 3, name: 'noise' })),
      /what layer 'noise' \(TestForgetfulNoise\) gives in training/,
    ],
    [
      'an option of a moving statistic',
      () => chain(new ForgetfulAverage({ amount: 3, name: 'average' })),
      /the new value of 'average\/average' in training/,
    ],
    [
      'a constraint',
      () => chain(new ForgetfulRules({ constraint: true })),
      /the constraint of '.*_1\/scale'/,
    ],
    [
      'a regularizer',
      () => chain(new ForgetfulRules({ regularizer: true })),
      /the regularizer of '.*_1\/scale'/,
    ],
    ['a variable of its own', () => chain(new Secretive({ name: 'secretive' })), /'secretive'/],
    [
      'one inside of a nested model',
      () =>
        tfl.sequential({
          layers: [layers.dense({ units: 4, inputShape: [4] }), chain(forgetful())],
        }),
      /what layer 'sequential_1\/forgetful' \(TestForgetful\)/,
    ],
    [
      'one inside of a wrapper',
      () => {
        const wrapper = layers.timeDistributed({ layer: chain(forgetful()), name: 'steps' });
        const x = tfl.input({ shape: [3, 4] });
        return tfl.model({ inputs: x, outputs: apply(wrapper, x) });
      },
      /'steps/,
    ],
  ])('%s', (_, make, message) => {
    const model = make();
    const leaked = leftBehind(() => {
      const attempt = () => disposeModel(copyModel(model, stream));
      expect(attempt).toThrow(message);
      expect(attempt).toThrow(/getConfig\(\) of a layer class must return.*model\/rebuild/s);
    });
    expect(leaked).toBe(0);
    disposeModel(model);
  });

  it('says so where the model takes no made-up numbers', () => {
    const model = chain(new Picky({ name: 'picky' }));
    expect(() => copyModel(model, stream)).toThrow(
      /cannot be run on a made-up batch: layer 'picky' failed: these are no pictures.*inputDim/s,
    );
    disposeModel(model);
  });
});

describe('a model that its configuration describes is copied', () => {
  const OTHERS: Readonly<Record<string, () => LayersModel>> = {
    'lengths that are open': () =>
      tfl.sequential({
        layers: [
          layers.conv2d({ filters: 2, kernelSize: 3, inputShape: [null, null, 3] as never }),
          layers.maxPooling2d({ poolSize: 4 }),
          layers.maxPooling2d({ poolSize: 3 }),
          layers.globalAveragePooling2d({}),
        ],
      }),
    'a batch of fixed size': () => {
      const x = tfl.input({ batchShape: [5, 3] });
      return tfl.model({ inputs: x, outputs: apply(layers.dense({ units: 2 }), x) });
    },
    'ids of type int32 behind a mask': () => {
      const x = tfl.input({ shape: [4], dtype: 'int32' });
      const rows = layers.embedding({ inputDim: 3, outputDim: 2, maskZero: true });
      const gru = layers.gru({ units: 2, recurrentInitializer: 'glorotUniform' });
      return tfl.model({ inputs: x, outputs: apply(gru, apply(rows, x)) });
    },
    'an embedding of one’s own': () =>
      tfl.sequential({ layers: [new Rows({ inputShape: [4] }), layers.flatten()] }),
    'ids and numbers': () => {
      const [ids, x] = [tfl.input({ shape: [2] }), tfl.input({ shape: [2, 3] })];
      const rows = apply(new Rows(), ids);
      return tfl.model({ inputs: [ids, x], outputs: apply(layers.add(), rows, x) });
    },
    'states of an encoder': () => {
      const [x, y] = [tfl.input({ shape: [3, 2] }), tfl.input({ shape: [4, 2] })];
      const recurrentInitializer = 'glorotUniform';
      const make = () =>
        layers.lstm({ units: 2, recurrentInitializer, returnState: true, returnSequences: true });
      const [, h, c] = make().apply(x) as SymbolicTensor[];
      const [out] = make().apply(y, { initialState: [h!, c!] }) as SymbolicTensor[];
      return tfl.model({ inputs: [x, y], outputs: out! });
    },
  };
  it.each(Object.entries({ ...MODELS, ...OTHERS }))('%s', (_, make) => {
    const model = withKeyedInit(initStreams, make);
    const leaked = leftBehind(() => {
      const copy = copyModel(model, stream);
      expect(extractGraph(copy).topology).toEqual(extractGraph(model).topology);
      disposeModel(copy);
    });
    expect(leaked).toBe(0);
    disposeModel(model);
  });
});
