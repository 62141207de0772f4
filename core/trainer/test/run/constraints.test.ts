import {
  appendLayers,
  definePlugin,
  disposeModel,
  meanSquaredError,
  memoryStore,
  sgd,
} from '@espalier/core';
import type { NamedTensors, RawBatch, Session, SessionConfig } from '@espalier/core';
import { firstDifference, onBackend, valuesOf, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { changing, open } from './sessions.js';

beforeAll(() => onBackend('cpu'));

type Layer = tfl.layers.Layer;
type Constraint = ReturnType<typeof tfl.constraints.minMaxNorm>;

/** Applied again it moves a weight again. */
const slow = () => tfl.constraints.minMaxNorm({ minValue: 0.2, maxValue: 0.4, rate: 0.1 });
const { layers } = tfl;

/** Every layer class that takes constraints, and what layers can be inside of: with its input. */
const CASES: Readonly<Record<string, { shape: number[]; make: (c: Constraint) => Layer }>> = {
  dense: {
    shape: [3],
    make: (c) => layers.dense({ units: 2, name: 'dense', kernelConstraint: c, biasConstraint: c }),
  },
  embedding: {
    shape: [3],
    make: (c) => layers.embedding({ inputDim: 9, outputDim: 2, embeddingsConstraint: c }),
  },
  prelu: { shape: [3], make: (c) => layers.prelu({ alphaConstraint: c }) },
  batchNormalization: {
    shape: [3],
    make: (c) => layers.batchNormalization({ betaConstraint: c, gammaConstraint: c }),
  },
  conv1d: {
    shape: [4, 2],
    make: (c) =>
      layers.conv1d({ filters: 2, kernelSize: 2, kernelConstraint: c, biasConstraint: c }),
  },
  conv2d: {
    shape: [4, 4, 2],
    make: (c) =>
      layers.conv2d({ filters: 2, kernelSize: 2, kernelConstraint: c, biasConstraint: c }),
  },
  conv3d: {
    shape: [3, 3, 3, 1],
    make: (c) =>
      layers.conv3d({ filters: 2, kernelSize: 2, kernelConstraint: c, biasConstraint: c }),
  },
  conv2dTranspose: {
    shape: [3, 3, 2],
    make: (c) =>
      layers.conv2dTranspose({ filters: 2, kernelSize: 2, kernelConstraint: c, biasConstraint: c }),
  },
  conv3dTranspose: {
    shape: [2, 2, 2, 1],
    make: (c) =>
      layers.conv3dTranspose({ filters: 2, kernelSize: 2, kernelConstraint: c, biasConstraint: c }),
  },
  separableConv2d: {
    shape: [4, 4, 2],
    make: (c) =>
      layers.separableConv2d({
        filters: 2,
        kernelSize: 2,
        depthwiseConstraint: c,
        pointwiseConstraint: c,
        biasConstraint: c,
      }),
  },
  depthwiseConv2d: {
    shape: [4, 4, 2],
    make: (c) =>
      layers.depthwiseConv2d({ kernelSize: 2, depthwiseConstraint: c, biasConstraint: c }),
  },
  simpleRNN: { shape: [3, 2], make: (c) => layers.simpleRNN(recurrent(c)) },
  gru: { shape: [3, 2], make: (c) => layers.gru(recurrent(c)) },
  lstm: { shape: [3, 2], make: (c) => layers.lstm(recurrent(c)) },
  convLstm2d: {
    shape: [2, 3, 3, 1],
    make: (c) => layers.convLstm2d({ filters: 2, kernelSize: 2, ...all(c) }) as Layer,
  },
  'rnn of simpleRNNCell': {
    shape: [3, 2],
    make: (c) => layers.rnn({ cell: layers.simpleRNNCell(recurrent(c)) }) as Layer,
  },
  'stackedRNNCells of gruCell and lstmCell': {
    shape: [3, 2],
    make: (c) =>
      layers.rnn({
        cell: layers.stackedRNNCells({
          cells: [layers.gruCell(recurrent(c)), layers.lstmCell(recurrent(c))],
        }),
      }) as Layer,
  },
  convLstm2dCell: {
    shape: [2, 3, 3, 1],
    make: (c) => layers.convLstm2d({ filters: 2, kernelSize: 2, ...all(c) }) as Layer,
  },
  timeDistributed: {
    shape: [3, 2],
    make: (c) => layers.timeDistributed({ layer: layers.dense({ units: 2, kernelConstraint: c }) }),
  },
  bidirectional: {
    shape: [3, 2],
    make: (c) => layers.bidirectional({ layer: layers.lstm(recurrent(c)), mergeMode: 'concat' }),
  },
  'a model in a model': {
    shape: [3],
    make: (c) => nested(nested(layers.dense({ units: 2, kernelConstraint: c, inputShape: [3] }))),
  },
};

function all(c: Constraint) {
  return { kernelConstraint: c, recurrentConstraint: c, biasConstraint: c };
}

function recurrent(c: Constraint) {
  return { units: 2, ...all(c) };
}

function nested(layer: Layer): LayersModel {
  const input = tfl.input({ shape: [3] });
  return tfl.model({ inputs: input, outputs: layer.apply(input) as SymbolicTensor });
}

function modelOf(layer: Layer, shape: number[]): LayersModel {
  const input = tfl.input({ shape });
  const made = layer.apply(input) as SymbolicTensor;
  const flat = made.rank > 2 ? layers.flatten().apply(made) : made;
  const out = layers.dense({ units: 1, name: 'logits' }).apply(flat) as SymbolicTensor;
  return tfl.model({ inputs: input, outputs: out });
}

/** Two different batches, the same in every run. */
function batchesOf(shape: readonly number[]): RawBatch[] {
  return [0, 1].map((which) => {
    const size = 2 * shape.reduce((a, b) => a * b, 1);
    const x = Float32Array.from({ length: size }, (_, i) => ((i + which) * 7) % 9);
    return { x: tf.tensor(x, [2, ...shape]), y: tf.tensor2d([1, which], [2, 1]) };
  });
}

async function train(run: Session, shape: readonly number[]): Promise<void> {
  for (const batch of batchesOf(shape)) {
    await run.step(batch);
    tf.dispose([batch.x, batch.y] as Tensor[]);
  }
}

const session = (model: () => LayersModel, more: Partial<SessionConfig> = {}) =>
  open({
    loss: meanSquaredError(),
    optimizer: sgd({ learningRate: 0.02 }),
    model,
    train: undefined,
    ...more,
  });

const bits = (given: Session | LayersModel | NamedTensors) => {
  if (given instanceof tfl.LayersModel) {
    return new Map(given.getWeights().map((weight, i) => [String(i), weight.dataSync().slice()]));
  }
  return valuesOf('fit' in given ? (given as Session).parameters() : (given as NamedTensors));
};

const constraintsOf = (model: LayersModel) =>
  model.weights.map((weight) => (weight as unknown as { constraint: object | null }).constraint);

describe('a resumed run is the undisturbed one, bit for bit:', () => {
  test.each(Object.entries(CASES))('%s', async (_name, { shape, make }) => {
    const model = () => modelOf(make(slow()), shape);
    const store = memoryStore();
    const undisturbed = await withSession(session(model), async (run) => {
      expect(constraintsOf(run.model).filter(Boolean).length).toBeGreaterThan(0);
      await train(run, shape);
      await run.save(store);
      await train(run, shape);
      return bits(run);
    });
    const resumed = await withSession(session(model), async (run) => {
      await run.load({ store });
      await train(run, shape);
      return bits(run);
    });
    expect(firstDifference(undisturbed, resumed)).toBeUndefined();
  });

  test('no layer class of tfjs that takes a constraint is left out', () => {
    const args = {
      ...{ units: 2, filters: 2, kernelSize: 1, rate: 0.5, n: 2, inputDim: 3, outputDim: 2 },
      ...{
        dims: [1],
        targetShape: [1],
        size: 2,
        axes: 1,
        scale: 1,
        height: 2,
        width: 2,
        factor: 0.1,
      },
      ...{ numTokens: 2, layer: layers.dense({ units: 1 }), cell: layers.lstmCell({ units: 1 }) },
      ...{ cells: [layers.lstmCell({ units: 1 })], mergeMode: 'concat', shape: [2], cropping: 1 },
    };
    const abstract = ['Layer', 'RNN', 'RNNCell', 'input', 'inputLayer'];
    const takes = Object.entries(layers as unknown as Record<string, (args: unknown) => Layer>)
      .filter(([name]) => !abstract.includes(name))
      .filter(([, make]) =>
        Object.keys(make(args).getConfig()).some((key) => /Constraint$/.test(key)),
      )
      .map(([name]) => name);
    expect(takes.length).toBeGreaterThan(15);
    const covered = Object.keys(CASES).join(' ');
    expect(takes.filter((name) => !covered.includes(name))).toEqual([]);
  });
});

/** One step of gradient descent at 0.1 on y = xW from zero data: gradients are 2·x·(xW − y)/n. */
describe('constraints act on what the optimizer wrote, and under the semantics of tfjs not at all:', () => {
  const kernel = [
    [1, -2],
    [-3, 0.5],
  ];
  const x = [[1, 2]];
  const y = [[0, 0]];
  const constant = (constraint: Constraint) => () => {
    const layer = layers.dense({
      units: 2,
      useBias: false,
      inputShape: [2],
      kernelConstraint: constraint,
    });
    const model = tfl.sequential({ layers: [layer] });
    tf.tidy(() => (layer.weights[0]!.read() as tf.Variable).assign(tf.tensor2d(kernel)));
    return model;
  };
  const raw = (): RawBatch => ({ x: tf.tensor2d(x), y: tf.tensor2d(y) });
  const updated = () => {
    const given = tf.tensor2d(kernel);
    const gradient = tf.matMul(tf.tensor2d(x), tf.matMul(tf.tensor2d(x), given), true);
    return tf.sub(given, tf.mul(gradient, 0.1)) as Tensor;
  };

  test.each<[string, () => Constraint]>([
    ['maxNorm', () => tfl.constraints.maxNorm({ maxValue: 0.5, axis: 0 })],
    ['minMaxNorm', slow],
    ['nonNeg', () => tfl.constraints.nonNeg()],
    ['unitNorm', () => tfl.constraints.unitNorm({ axis: 0 })],
  ])('%s', async (name, make) => {
    expect(Object.keys(tfl.constraints)).toContain(name);
    for (const semantics of ['espalier', 'tfjs'] as const) {
      const config = {
        model: constant(make()),
        loss: meanSquaredError(),
        optimizer: sgd({ learningRate: 0.1 }),
        semantics,
      };
      await withSession(open(config), async (run) => {
        const batch = raw();
        await run.step(batch);
        const [is] = Object.values(run.parameters());
        const free = updated();
        const due = semantics === 'tfjs' ? free : make().apply(free);
        expect(tf.max(tf.abs(tf.sub(is!, due))).dataSync()[0]).toBeLessThan(1e-6);
        expect(tf.max(tf.abs(tf.sub(free, make().apply(free)))).dataSync()[0]).toBeGreaterThan(
          0.01,
        );
        tf.dispose([batch.x, batch.y] as Tensor[]);
      });
    }
  });
});

/** Counts its calls, in a weight that a constraint would hold at 0.5. */
class Counter extends tfl.layers.Layer {
  static readonly className = 'ConstrainedCounter';
  #calls!: tfl.LayerVariable;

  override build(): void {
    const constraint = tfl.constraints.maxNorm({ maxValue: 0.5 });
    const zeros = tfl.initializers.zeros();
    this.#calls = this.addWeight('calls', [1], 'float32', zeros, undefined, false, constraint);
    this.built = true;
  }

  override call(inputs: Tensor | Tensor[]): Tensor | Tensor[] {
    this.#calls.write(tf.add(this.#calls.read(), 1));
    return inputs;
  }
}

describe('exported without constraints, tfjs reads the bits that were trained:', () => {
  /** What tfjs reads of a model that tfjs wrote. */
  async function readAgain(model: LayersModel): Promise<LayersModel> {
    let written!: tf.io.ModelArtifacts;
    await model.save(
      tf.io.withSaveHandler((artifacts) => {
        written = artifacts;
        return Promise.resolve({
          modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' },
        });
      }),
    );
    return tfl.loadLayersModel(tf.io.fromMemory(written));
  }

  test.each(Object.entries(CASES))('%s', async (_name, { shape, make }) => {
    const model = () => modelOf(make(slow()), shape);
    await withSession(session(model), async (run) => {
      await train(run, shape);
      const [plain, kept] = [run.export({ constraints: false }), run.export()];
      const read = await readAgain(plain);
      expect(constraintsOf(plain).filter(Boolean)).toEqual([]);
      expect(firstDifference(bits(read), bits(kept))).toBeUndefined();
      [plain, kept, read].forEach(disposeModel);
    });
  });
});

describe('nothing but an update is constrained:', () => {
  const { shape, make } = CASES['dense']!;
  const model = () => modelOf(make(slow()), shape);

  test.each([
    ['values that a plugin assigns', undefined],
    ['but what its own optimizer updated is', { update: true }],
  ])('%s', async (_name, how) => {
    const given = tf.fill([3, 2], 3);
    const assigning = definePlugin({
      id: 'assigning',
      version: '1.0.0',
      options: z.strictObject({}),
      effects: { 'weights:*': 'modify' },
      stateless: true,
      apply: (ctx) => ctx.hooks.afterApply.tap(() => ctx.assign({ 'dense/kernel': given }, how)),
    });
    await withSession(session(model, { plugins: [assigning()] }), async (run) => {
      await train(run, shape);
      const due = how ? slow().apply(given) : given;
      const { 'dense/kernel': kernel } = run.parameters();
      expect(firstDifference(bits({ kernel: kernel! }), bits({ kernel: due }))).toBeUndefined();
      expect([...slow().apply(given).dataSync()]).not.toEqual([...given.dataSync()]);
    });
    given.dispose();
  });

  test('weights of a model that is edited, transformed, exported', async () => {
    const before = model();
    const plugins = [changing('changing', 'dense')];
    await withSession(session(model, { plugins }), async (run) => {
      await train(run, shape);
      const mine = () => {
        const { 'dense/kernel': kernel, 'dense/bias': bias } = run.parameters();
        return bits({ kernel: kernel!, bias: bias! });
      };
      const trained = mine();
      await run.transform();
      expect(firstDifference(trained, mine())).toBeUndefined();
      const exported = run.export();
      const [kernel, bias] = exported.getWeights();
      expect(firstDifference(trained, bits({ kernel: kernel!, bias: bias! }))).toBeUndefined();
      expect(constraintsOf(exported)).toEqual(constraintsOf(before));
      disposeModel(exported);
    });
    disposeModel(before);
  });

  test('moving statistics', async () => {
    const counting = () => modelOf(new Counter({ name: 'counter' }), [3]);
    await withSession(session(counting), async (run) => {
      const calls = () => [...run.parameters()['counter/calls']!.dataSync()];
      const [raw, other] = batchesOf([3]);
      await run.step(raw!);
      expect(calls()).toEqual([1]);
      const batch = await run.batch(raw!, 'mine');
      run.objective(batch, { state: 'update' }).dispose();
      expect(calls()).toEqual([2]);
      tf.dispose([raw!.x, raw!.y, other!.x, other!.y] as Tensor[]);
    });
  });
});

test.each([
  ['espalier', 1],
  ['tfjs', 0.5],
] as const)('layers that plugins add are constrained too: %s', async (semantics, size) => {
  const kernelConstraint = tfl.constraints.unitNorm({ axis: 0 });
  const kernelInitializer = tfl.initializers.constant({ value: 0.5 });
  const own = { kernelConstraint, kernelInitializer, units: 1, useBias: false };
  const adding = definePlugin({
    id: 'adding',
    version: '1.0.0',
    options: z.strictObject({}),
    effects: { loss: 'add', structure: 'add' },
    stateless: true,
    apply(ctx) {
      const made = layers.dense({ ...own, name: 'side' });
      ctx.edit((graph) => appendLayers(graph, { after: 'logits', layers: [made], output: true }));
      const network = ctx.addNetwork(() =>
        tfl.sequential({ layers: [layers.dense({ ...own, name: 'apart', inputShape: [1] })] }),
      );
      ctx.hooks.loss.tap(({ outputs: { logits, side }, terms, mean }) => {
        const { apart } = network.execute({ apart_input: logits! }, {});
        // A loss of gradient 0: the update is none, and still is one.
        const nothing = tf.mul(tf.add(side!, apart!), 0);
        terms.add('nothing', mean(tf.squeeze(nothing, [1]) as tf.Tensor1D));
      });
    },
  });
  const { shape, make } = CASES['dense']!;
  const model = () => modelOf(make(slow()), shape);
  await withSession(session(model, { plugins: [adding()], semantics }), async (run) => {
    await train(run, shape);
    for (const path of ['side/kernel', 'adding:apart/kernel']) {
      expect(run.parameters()[path]!.dataSync()[0]).toBeCloseTo(size, 6);
    }
  });
});
