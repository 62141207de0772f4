import {
  appendLayers,
  arraySource,
  createSession,
  meanSquaredError,
  replaceLayer,
  sgd,
} from '@espalier/core';
import type { Session, SessionConfig } from '@espalier/core';
import { onBackend, tensorsLeakedBy, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { layerClasses } from './layer-classes.js';
import { plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

type Layer = tfl.layers.Layer;
type Options = Record<string, unknown>;

const STEPS = 20;
const RATE = 0.05;
const STRENGTH = 0.1;
const l2 = () => tfl.regularizers.l2({ l2: STRENGTH });

interface Case {
  readonly name: string;
  readonly make: (options: Options) => Layer;
  readonly shape: readonly number[];
  /** Whether tfjs forgets the regularizers: it asks no cells, nor all that wrappers hold. */
  readonly lostInTfjs?: boolean;
  /** Input of class numbers below this instead of real numbers. */
  readonly classes?: number;
}

const { layers } = tfl;
const make = (maker: (options: never) => unknown, fixed: Options) => (options: Options) =>
  maker({ ...fixed, ...options } as never) as Layer;

const plain: readonly Case[] = [
  { name: 'Dense', make: make(layers.dense, { units: 2 }), shape: [3] },
  { name: 'Conv1D', make: make(layers.conv1d, { filters: 2, kernelSize: 2 }), shape: [4, 2] },
  { name: 'Conv2D', make: make(layers.conv2d, { filters: 2, kernelSize: 2 }), shape: [3, 3, 2] },
  { name: 'Conv3D', make: make(layers.conv3d, { filters: 1, kernelSize: 2 }), shape: [2, 2, 2, 1] },
  {
    name: 'Conv2DTranspose',
    make: make(layers.conv2dTranspose, { filters: 2, kernelSize: 2 }),
    shape: [2, 2, 1],
  },
  {
    name: 'Conv3DTranspose',
    make: make(layers.conv3dTranspose, { filters: 1, kernelSize: 2 }),
    shape: [2, 2, 2, 1],
  },
  {
    name: 'SeparableConv2D',
    make: make(layers.separableConv2d, { filters: 2, kernelSize: 2 }),
    shape: [3, 3, 2],
  },
  {
    name: 'DepthwiseConv2D',
    make: make(layers.depthwiseConv2d, { kernelSize: 2 }),
    shape: [3, 3, 2],
  },
  {
    name: 'Embedding',
    make: make(layers.embedding, { inputDim: 4, outputDim: 2 }),
    shape: [3],
    classes: 4,
  },
  { name: 'BatchNormalization', make: make(layers.batchNormalization, {}), shape: [3] },
  { name: 'LayerNormalization', make: make(layers.layerNormalization, {}), shape: [3] },
  { name: 'PReLU', make: make(layers.prelu, {}), shape: [3] },
  ...(['simpleRNN', 'gru', 'lstm'] as const).map((name) => ({
    name: { simpleRNN: 'SimpleRNN', gru: 'GRU', lstm: 'LSTM' }[name],
    make: make(layers[name], { units: 2 }),
    shape: [3, 2],
    lostInTfjs: true,
  })),
  {
    name: 'ConvLSTM2D',
    make: make(layers.convLstm2d, { filters: 1, kernelSize: 2 }),
    shape: [2, 2, 2, 1],
    lostInTfjs: true,
  },
];

const dense = (options: Options) => layers.dense({ units: 2, ...options });
const first = (options: Options) => dense({ inputShape: [3], ...options });
const held: readonly Case[] = [
  {
    name: 'RNN of a cell',
    make: (o) => layers.rnn({ cell: layers.lstmCell({ units: 2, ...o }) }) as Layer,
    shape: [3, 2],
    lostInTfjs: true,
  },
  {
    name: 'RNN of stacked cells',
    make: (o) =>
      layers.rnn({
        cell: [layers.gruCell({ units: 2, ...o }), layers.simpleRNNCell({ units: 2, ...o })],
      }) as Layer,
    shape: [3, 2],
    lostInTfjs: true,
  },
  {
    name: 'Bidirectional',
    make: (o) =>
      layers.bidirectional({
        layer: layers.lstm({ units: 2, ...o }) as tfl.RNN,
        mergeMode: 'concat',
      }),
    shape: [3, 2],
    lostInTfjs: true,
  },
  {
    name: 'TimeDistributed',
    make: (o) => layers.timeDistributed({ layer: dense(o) }),
    shape: [3, 2],
  },
  {
    name: 'TimeDistributed of a model',
    make: (o) =>
      layers.timeDistributed({
        layer: tfl.sequential({ layers: [layers.dense({ units: 2, inputShape: [2], ...o })] }),
      }),
    shape: [3, 2],
    lostInTfjs: true,
  },
  { name: 'nested model', make: (o) => tfl.sequential({ layers: [first(o)] }), shape: [3] },
  {
    name: 'nested model that begins with a model',
    make: (o) => tfl.sequential({ layers: [tfl.sequential({ layers: [first(o)] })] }),
    shape: [3],
    lostInTfjs: true,
  },
];

const KEYS = ['kernel', 'bias', 'recurrent', 'depthwise', 'pointwise', 'embeddings', 'gamma']
  .concat('beta', 'alpha')
  .map((what) => `${what}Regularizer`);

/** Every regularizer that the layer takes; unknown options are an error nowhere in tfjs. */
function allOf({ name }: Case): Options {
  // SeparableConv2D refuses what it does not take.
  const keys = KEYS.filter((key) => name !== 'SeparableConv2D' || key !== 'kernelRegularizer');
  return Object.fromEntries(keys.map((key) => [key, l2()]));
}

function modelOf(one: Case, options = allOf(one)): LayersModel {
  const input = tfl.input({ shape: [...one.shape] });
  const output = one.make(options).apply(input) as tfl.SymbolicTensor;
  return tfl.model({ inputs: input, outputs: output });
}

/** Deterministic values in [-1, 1]. */
const waves = (size: number, offset = 0) =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(1.7 * (i + offset) + 0.3));

const EXAMPLES = 4;

function dataFor(model: LayersModel, { shape, classes }: Case) {
  const sizeOf = (dims: readonly (number | null)[]) =>
    dims.reduce<number>((a, b) => a * (b ?? 1), EXAMPLES);
  const real = waves(sizeOf(shape));
  const x = classes ? real.map((value) => Math.floor(((value + 1) / 2.01) * classes)) : real;
  const out = model.outputs[0]!.shape.slice(1) as number[];
  return {
    x: { data: x, shape: [EXAMPLES, ...shape] },
    y: { data: waves(sizeOf(out), 7), shape: [EXAMPLES, ...out] },
  };
}

const toTensor = ({ data, shape }: { data: Float32Array; shape: readonly number[] }) =>
  tf.tensor(data, [...shape]);

/** Weights in the order of their making, whatever trains. */
const weightsOf = (model: LayersModel) =>
  [...model.weights]
    .sort((a, b) => a.id - b.id)
    .flatMap((weight) => Array.from(weight.read().dataSync()));

function largestGap(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
}

async function trainedHere(one: Case, more: Partial<SessionConfig> = {}, initial?: tf.Tensor[]) {
  const model = modelOf(one);
  if (initial) model.setWeights(initial);
  const session = await createSession({
    model,
    loss: meanSquaredError(),
    optimizer: sgd({ learningRate: RATE }),
    train: arraySource({ ...dataFor(model, one), batchSize: EXAMPLES, shuffle: false }),
    ...more,
  });
  return withSession(Promise.resolve(session), async () => {
    const { history } = await session.fit({ epochs: STEPS });
    return { weights: weightsOf(model), history, model };
  });
}

async function trainedByTfjs(one: Case, initial: tf.Tensor[]): Promise<number[]> {
  const model = modelOf(one);
  model.setWeights(initial);
  const { x, y } = dataFor(model, one);
  model.compile({ optimizer: tf.train.sgd(RATE), loss: 'meanSquaredError' });
  const options = { epochs: STEPS, batchSize: EXAMPLES, shuffle: false, verbose: 0 as const };
  await model.fit(toTensor(x), toTensor(y), options);
  return weightsOf(model);
}

/** The slow reference: the penalties written out. */
function trainedByHand(one: Case, initial: tf.Tensor[]): number[] {
  const model = modelOf(one, {});
  model.setWeights(initial);
  const { x, y } = dataFor(model, one);
  const weights = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const [input, target] = [toTensor(x), toTensor(y)];
  const loss = () => {
    const output = model.apply(input, { training: true }) as tf.Tensor;
    const penalties = weights.map((w) => tf.mul(STRENGTH, tf.sum(tf.square(w))));
    return tf.add(tf.mean(tf.square(tf.sub(output, target))), tf.addN(penalties)) as tf.Scalar;
  };
  const optimizer = tf.train.sgd(RATE);
  for (let step = 0; step < STEPS; step++) optimizer.minimize(loss, false, weights);
  return weightsOf(model);
}

const named = (session: Session) =>
  Object.fromEntries(
    Object.entries(session.parameters()).map(([path, value]) => [path, [...value.dataSync()]]),
  );

/** `dense` without bias on [1, 2] with weights [1, 2] and an L2 penalty of 0.5 each: 2.5 in all. */
const penalised = (model: () => LayersModel = twoWeights, more: Partial<SessionConfig> = {}) =>
  createSession({
    model,
    loss: meanSquaredError(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: zeros(),
    ...more,
  });

const zeros = (examples = 2, weights?: Float32Array) =>
  arraySource({
    x: { data: new Float32Array(2 * examples), shape: [examples, 2] },
    y: { data: new Float32Array(examples), shape: [examples, 1] },
    batchSize: 2,
    ...(weights && { weights }),
  });

function twoWeights(trainable = true): LayersModel {
  const layer = layers.dense({
    name: 'out',
    units: 1,
    useBias: false,
    inputShape: [2],
    weights: [tf.tensor2d([1, 2], [2, 1])],
    kernelRegularizer: tfl.regularizers.l2({ l2: 0.5 }),
    trainable,
  });
  return tfl.sequential({ layers: [layer] });
}

const near = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 6));

describe('the smallest case', () => {
  test('has the loss 2.5 and moves to [0.9, 1.8]', () =>
    withSession(penalised(), async (session) => {
      const { history } = await session.fit({ epochs: 1 });
      expect(history[0]!.metrics).toEqual({
        loss: expect.closeTo(2.5, 6) as number,
        'loss/task/mean-squared-error': 0,
        'loss/regularization/out/kernel': expect.closeTo(2.5, 6) as number,
      });
      expect(named(session)['out/kernel']).toEqual(near([0.9, 1.8]));
    }));

  test.each([
    ['two micro-batches', { accumulate: 2, train: zeros(4) }],
    ['a short last window', { accumulate: 4, train: zeros(3) }],
    ['example weights', { train: zeros(2, Float32Array.of(3, 0.5)) }],
    ['weights that are all 0', { train: zeros(2, new Float32Array(2)) }],
    ['weights by tfjs', { train: zeros(2, Float32Array.of(3, 0.5)), semantics: 'tfjs' as const }],
  ])('counts once a step with %s', (_name, more) =>
    withSession(penalised(twoWeights, more), async (session) => {
      await session.fit({ epochs: 1 });
      expect(named(session)['out/kernel']).toEqual(near([0.9, 1.8]));
    }),
  );

  test('differentiates by parameters that stand in, and leaves no tensor', () =>
    withSession(penalised(), async (session) => {
      const raw = { x: tf.zeros([2, 2]), y: tf.zeros([2, 1]) };
      const batch = await session.batch(raw, 'b');
      const value = (w: tf.Tensor) => session.objective(batch, { params: { 'out/kernel': w } });
      const w = tf.tensor2d([3, -1], [2, 1]);
      expect(value(w).dataSync()[0]).toBeCloseTo(5, 5);
      expect([...tf.grad(value)(w).dataSync()]).toEqual(near([3, -1]));
      const params = { 'out/kernel': w };
      const { gradients } = session.gradients(batch, { params });
      expect([...gradients['out/kernel']!.dataSync()]).toEqual(near([3, -1]));
      expect(await tensorsLeakedBy(() => session.objective(batch, { params }))).toBe(0);
      expect(await tensorsLeakedBy(() => session.step(raw).then(() => undefined))).toBe(0);
    }));

  test('is no part of what evaluate gives, as in tfjs', () =>
    withSession(penalised(), async (session) => {
      expect(await session.evaluate(zeros())).toEqual({ loss: 0, mae: 0 });
    }));

  test('of a frozen layer counts as a constant, as in tfjs', () => {
    const model = () => {
      const frozen = twoWeights(false).layers[0]!;
      return tfl.sequential({ layers: [frozen, layers.dense({ name: 'free', units: 1 })] });
    };
    return withSession(penalised(model), async (session) => {
      const { history } = await session.fit({ epochs: 1 });
      expect(history[0]!.metrics['loss/regularization/out/kernel']).toBeCloseTo(2.5, 6);
      expect(named(session)['out/kernel']).toEqual([1, 2]);
    });
  });

  test.each([
    ['espalier', 1],
    ['tfjs', 2],
  ] as const)("of a shared layer counts, by '%s', %d times", (semantics, times) => {
    const model = () => {
      const shared = layers.dense({
        name: 'out',
        units: 2,
        useBias: false,
        weights: [tf.tensor2d([1, 2, 0, 0], [2, 2])],
        kernelRegularizer: tfl.regularizers.l2({ l2: 0.5 }),
      });
      const input = tfl.input({ shape: [2] });
      const twice = shared.apply(shared.apply(input)) as tfl.SymbolicTensor;
      const sum = layers.dense({ name: 'sum', units: 1, useBias: false });
      return tfl.model({ inputs: input, outputs: sum.apply(twice) as tfl.SymbolicTensor });
    };
    return withSession(penalised(model, { semantics }), async (session) => {
      const { history } = await session.fit({ epochs: 1 });
      expect(history[0]!.metrics['loss']).toBeCloseTo(2.5 * times, 5);
    });
  });
});

describe('what plugins bring', () => {
  test("regularizers of a plugin's own network count, by its paths", () => {
    const own = plugin('own', { apply: (ctx) => void ctx.addNetwork(() => twoWeights()) });
    return withSession(penalised(twoWeights, { plugins: [own] }), async (session) => {
      const { history } = await session.fit({ epochs: 1 });
      const { metrics } = history[0]!;
      expect(metrics['loss/regularization/own:out/kernel']).toBeCloseTo(2.5, 6);
      expect(metrics['loss']).toBeCloseTo(5, 5);
      expect(named(session)['own:out/kernel']).toEqual(near([0.9, 1.8]));
    });
  });

  test('regularizers of layers that an edit adds count', () => {
    const layer = layers.dense({
      name: 'exit',
      units: 1,
      kernelRegularizer: tfl.regularizers.l1({ l1: 1 }),
      kernelInitializer: 'ones',
    });
    const exits = plugin('exits', {
      apply: (ctx) =>
        ctx.edit((graph) => appendLayers(graph, { after: 'out', layers: [layer], output: true })),
    });
    return withSession(penalised(twoWeights, { plugins: [exits] }), async (session) => {
      const { history } = await session.fit({ epochs: 1 });
      const { metrics } = history[0]!;
      expect(metrics['loss/regularization/exit/kernel']).toBeCloseTo(1, 6);
      expect(metrics['loss/regularization/out/kernel']).toBeCloseTo(2.5, 6);
      expect(named(session)['exit/kernel']).toEqual(near([0.9]));
    });
  });

  test('an edit that takes a regularizer away says so in a warning', () => {
    const replacing = plugin('replacing', {
      apply: (ctx) =>
        ctx.hooks.transform.tap(() => {
          const layer = layers.dense({ units: 1, useBias: false });
          ctx.edit((graph) => replaceLayer(graph, 'out', layer));
        }),
    });
    return withSession(penalised(twoWeights, { plugins: [replacing] }), async (session) => {
      const warnings: string[] = [];
      session.telemetry.on('warning', ({ message }) => void warnings.push(message));
      await session.transform();
      expect(warnings).toEqual([expect.stringMatching(/regularizers of 'out\/kernel' are gone/)]);
    });
  });

  test('a plugin may scale a term of a regularizer', () => {
    const half = plugin('half', {
      effects: { loss: 'add', 'loss:regularization/out/kernel': 'modify' },
      apply: (ctx) =>
        ctx.hooks.loss.tap(({ terms }) => terms.scale('regularization/out/kernel', 0.5)),
    });
    return withSession(penalised(twoWeights, { plugins: [half] }), async (session) => {
      await session.fit({ epochs: 1 });
      expect(named(session)['out/kernel']).toEqual(near([0.95, 1.9]));
    });
  });

  test("no plugin may have the id 'regularization'", async () => {
    const error = await refusal(() =>
      penalised(twoWeights, { plugins: [plugin('regularization')] }),
    );
    expect(error.message).toContain("not 'task' or 'regularization'");
  });
});

/** A layer with a loss that reads no weight. */
class Odd extends layers.Layer {
  static readonly className = 'OddLayer';
  constructor(private readonly what: () => tf.Scalar) {
    super({ name: 'odd' });
  }
  override build(): void {
    this.addLoss(this.what);
    super.build([]);
  }
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.add(([inputs].flat() as tf.Tensor[])[0]!, 1);
  }
}

describe('refused by name, before anything is computed', () => {
  const odd = (what: () => tf.Scalar) => () =>
    tfl.sequential({ layers: [twoWeights().layers[0]!, new Odd(what)] });

  test.each([
    ['a loss that reads no weight', odd(() => tf.scalar(1)), 'model/layer-loss', "'odd'"],
    [
      'a loss that fails without a batch',
      odd(() => {
        throw new Error('no activation yet');
      }),
      'model/layer-loss',
      "'odd'",
    ],
    [
      'an activity regularizer, which tfjs forgets inside a wrapper',
      () => {
        const layer = layers.dense({ units: 1, activityRegularizer: l2() });
        const each = layers.timeDistributed({ name: 'each', layer, inputShape: [3, 2] });
        return tfl.sequential({ layers: [each] });
      },
      'model/activity-regularizer',
      "'each'",
    ],
  ] as const)('%s', async (_name, model, code, layer) => {
    const error = await refusal(() => penalised(model));
    expect(error.code).toBe(code);
    expect(error.message).toContain(layer);
  });
});

test('the table has every layer class with a regularizer', () => {
  const taking = layerClasses(/Regularizer/);
  expect(taking.length).toBeGreaterThan(12);
  expect(plain.map(({ name }) => name)).toEqual(expect.arrayContaining(taking));
});

describe.each([...plain, ...held])('$name', (one) => {
  const initial = () =>
    tf.tidy(() =>
      modelOf(one)
        .getWeights()
        .map((w) => tf.keep(tf.clone(w))),
    );

  test('its regularizers are terms and train as in LayersModel.fit, or as written out where that forgets them', async () => {
    const start = initial();
    const ours = await trainedHere(one, {}, start);
    const names = Object.keys(ours.history[0]!.metrics);
    const terms = names.filter((name) => name.startsWith('loss/regularization/'));
    expect(terms.length).toBe(ours.model.trainableWeights.length);
    const fitted = await trainedByTfjs(one, start);
    const gap = largestGap(ours.weights, fitted);
    if (one.lostInTfjs) {
      expect(gap).toBeGreaterThan(1e-3);
      expect(largestGap(ours.weights, trainedByHand(one, start))).toBeLessThan(1e-6);
      const asTfjs = await trainedHere(one, { semantics: 'tfjs' }, start);
      expect(largestGap(asTfjs.weights, fitted)).toBeLessThan(1e-6);
    } else expect(gap).toBeLessThan(1e-6);
    tf.dispose(start);
  });
});
