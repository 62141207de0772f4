import {
  arraySource,
  binaryCrossEntropy,
  createSession,
  crossEntropy,
  definePlugin,
  EXITS,
  meanSquaredError,
  sgd,
} from '@espalier/core';
import type { Loss, Plugin, Preset, Session, SessionConfig } from '@espalier/core';
import { cutmix, mixup } from '@espalier/plugin-augmentation';
import { blockLowRank } from '@espalier/plugin-block-low-rank';
import { labelSmoothing as smoothingPlugin } from '@espalier/plugin-label-smoothing';
import {
  deepestExit,
  earlyExitCurve,
  exitDistillation,
  multiExit,
  predictEarly,
} from '@espalier/plugin-multi-exit';
import { prune } from '@espalier/plugin-prune';
import { quantizer } from '@espalier/plugin-quantizer';
import {
  exitEnsemble,
  exitMixture,
  labelGenerator,
  teacher,
  uniformTargets,
} from '@espalier/plugin-soft-targets';
import { byot, deeplySupervised, kd, labelSmoothing, psKd } from '@espalier/preset-baselines';
import { metadistiller } from '@espalier/preset-metadistiller';
import {
  firstDifference,
  onBackend,
  tinyData,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;
type Activation = 'softmax' | 'sigmoid' | 'linear';
const SHAPE = [4, 4, 1];

/** Small maps, a pooled vector, and a head that ends as it is told. */
const cnn = (activation: Activation, units = 3) =>
  function make(): LayersModel {
    const conv = (name: string, inputShape?: number[]) =>
      layers.conv2d({ name, filters: 4, kernelSize: 3, strides: 2, padding: 'same', inputShape });
    return tfl.sequential({
      layers: [
        conv('first', SHAPE),
        layers.reLU({ name: 'relu' }),
        conv('second'),
        layers.globalAveragePooling2d({ name: 'pool' }),
        layers.dense({ name: 'head', units, activation }),
      ],
    });
  };

const at = ['relu'];
const teaching = (activation: Activation) => () => ({ model: cnn(activation) });

/** Every preset and plugin that reads outputs; `activation` is that of a teacher. */
const METHODS: Record<string, (activation: Activation) => Preset | readonly Plugin[]> = {
  'deeply-supervised': () => deeplySupervised({ at }),
  byot: () => byot({ at, alpha: 0.5, hint: 0 }),
  kd: (activation) => kd({ teacher: teaching(activation) }),
  metadistiller: () => metadistiller({ at, alpha: 0.5, meta: { interval: 2, warmup: 2 } }),
  'label-smoothing': () => labelSmoothing(),
  'ps-kd': () => psKd({ epochs: 2 }),
  'exit-mixture': () => [multiExit({ at }), exitMixture(), exitDistillation({ alpha: 0.5 })],
  'exit-ensemble': () => [multiExit({ at }), exitEnsemble(), exitDistillation({ alpha: 0.5 })],
  'uniform-targets': () => [multiExit({ at }), uniformTargets(), exitDistillation()],
  'deepest-exit, not detached': () => [
    multiExit({ at }),
    deepestExit({ detach: false }),
    exitDistillation(),
  ],
};

function open(model: () => LayersModel, method: Preset | readonly Plugin[]): Promise<Session> {
  const source = tinySource({ shape: SHAPE, batchSize: 8 });
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.2 }),
    train: source,
    validation: source,
    ...(Array.isArray(method) ? { plugins: method as Plugin[] } : { preset: method as Preset }),
  });
}

async function trained(session: Session) {
  const { history } = await session.fit({ epochs: 2 });
  const parameters = valuesOf(session.parameters());
  const { x, y } = tinyData({ shape: SHAPE, examples: 6, seed: 3 });
  const input = tf.tensor(x.data as Float32Array, [...x.shape]);
  const several = session.inspect().outputs.length > 1;
  const early = several && (await predictEarly(session.model, input, { threshold: 0.36 }));
  const curve = several && (await earlyExitCurve(session.model, input, y.data));
  input.dispose();
  return {
    history,
    parameters,
    curve,
    early: early && { exits: early.exitOf, labels: early.labels, p: early.probabilities },
  };
}

describe.each(Object.keys(METHODS))('%s', (name) => {
  test('computes for a softmax head what it does for logits', async () => {
    const run = (activation: Activation) =>
      withSession(open(cnn(activation), METHODS[name]!(activation)), trained);
    const [softmax, logits] = [await run('softmax'), await run('linear')];
    expect(firstDifference(softmax.parameters, logits.parameters)).toBeUndefined();
    expect(softmax.history).toEqual(logits.history);
    expect(softmax.early).toEqual(logits.early);
    expect(softmax.curve).toEqual(logits.curve);
  });
});

describe('a head that a transform replaces', () => {
  test.each([
    ['in low rank', blockLowRank({ layers: ['head'], rank: 2 })],
    ['quantized', quantizer({ layers: ['head'] })],
    ['pruned', prune({ layers: ['head'], density: 0.8 })],
  ])('%s stays a softmax for users and logits for the loss', async (_name, method) => {
    const run = (activation: Activation) =>
      withSession(open(cnn(activation), [method]), async (session) => {
        await session.fit({ epochs: 1 });
        await session.transform();
        const batch = { x: tf.ones([2, ...SHAPE]), y: tf.tensor1d([0, 1], 'int32') };
        await session.step(batch);
        const parameters = valuesOf(session.parameters());
        const metrics = await session.evaluate();
        const [output] = Object.values(await session.predict(batch.x));
        return { parameters, metrics, output: output! };
      });
    const [softmax, logits] = [await run('softmax'), await run('linear')];
    expect(firstDifference(softmax.parameters, logits.parameters)).toBeUndefined();
    expect(softmax.metrics).toEqual(logits.metrics);
    expect(softmax.output.dataSync()).toEqual(tf.softmax(logits.output).dataSync());
  });
});

/** Plugins that only classifiers can have, and what stands beside them. */
const CLASSIFYING: Record<string, () => readonly Plugin[]> = {
  'multi-exit': () => [multiExit({ at })],
  'exit-distillation': () => [teacher({ model: cnn('linear') }), exitDistillation({ alpha: 0.5 })],
  'label-generator': () => [exits(), labelGenerator()],
  'label-smoothing': () => [smoothingPlugin()],
};
/** Says that there are exits, whatever the loss. */
const exits = definePlugin({
  id: 'exits',
  version: '1.0.0',
  options: multiExit.definition.options.pick({}),
  stateless: true,
  apply: (ctx) => ctx.provide(EXITS, () => ({ names: ['head'], layers: ['pool'], macs: [1] })),
});
const OWN: Loss = { ...meanSquaredError(), name: 'own' };

describe.each([
  ['mean squared error', meanSquaredError()],
  ['independent labels', binaryCrossEntropy()],
  ['a loss of one’s own', OWN],
] as const)('%s', (_name, loss) => {
  const y = { shape: [8, 3], data: new Float32Array(24) };
  const x = { shape: [8, ...SHAPE], data: new Float32Array(8 * 16) };
  const base = { model: cnn('linear'), loss, optimizer: sgd({ learningRate: 0.1 }) };
  const train = arraySource({ x, y, batchSize: 4 });

  test.each(Object.keys(CLASSIFYING))('is refused beside %s before the first step', async (id) => {
    const refused = createSession({ ...base, plugins: CLASSIFYING[id]!() });
    await expect(refused).rejects.toMatchObject({
      code: `${id}/no-classes`,
      place: { plugin: id, hook: 'apply' },
      message: expect.stringContaining(loss.name) as string,
    });
  });

  test.each<[string, Preset]>([
    ['byot', byot({ at })],
    ['deeply-supervised', deeplySupervised({ at })],
    ['kd', kd({ teacher: teaching('linear') })],
    ['metadistiller', metadistiller({ at })],
    ['label-smoothing', labelSmoothing()],
  ])('is refused by preset %s', async (_preset, preset) => {
    await expect(createSession({ ...base, preset })).rejects.toThrow(/no-classes/);
  });

  test.each<[string, Partial<SessionConfig>]>([
    ['mixup', { plugins: [mixup({ linear: loss === OWN ? ['head'] : [] })] }],
    ['cutmix', { plugins: [cutmix({ linear: loss === OWN ? ['head'] : [] })] }],
    ['quantizer', { plugins: [quantizer({ layers: ['head'] })] }],
    ['prune', { plugins: [prune({ layers: ['head'], density: 0.8 })] }],
  ])('trains beside %s', async (_plugin, more) => {
    const { status } = await withSession(createSession({ ...base, train, ...more }), (session) =>
      session.fit({ epochs: 1 }),
    );
    expect(status).toBe('completed');
  });
});

test('a plugin that needs logits says so where the loss reads probabilities', async () => {
  const plugins = [multiExit({ at })];
  const run = { optimizer: sgd({ learningRate: 0.1 }), plugins };
  const own: Loss = { ...crossEntropy(), readAs: undefined as never };
  const model = cnn('softmax');
  await expect(createSession({ ...run, model, loss: own })).rejects.toMatchObject({
    code: 'multi-exit/not-logits',
  });
  const loss = crossEntropy({ from: 'probabilities' });
  const sigmoid = createSession({ ...run, model: cnn('sigmoid'), loss });
  await expect(sigmoid).rejects.toMatchObject({ code: 'multi-exit/not-logits' });
});

test('any plugin sees logits in both hooks, and probabilities where it asks for them', async () => {
  const seen: Record<string, number> = {};
  const sum = (values: tf.Tensor) => tf.sum(values, -1).dataSync()[0]!;
  const watching = definePlugin({
    id: 'watching',
    version: '1.0.0',
    options: multiExit.definition.options.pick({}),
    effects: { loss: 'add' },
    stateless: true,
    apply(ctx) {
      ctx.hooks.loss.tap(({ outputs }) => void (seen['loss'] = sum(outputs['head']!)));
      ctx.hooks.evaluate.tap(({ outputs }) => void (seen['evaluate'] = sum(outputs['head']!)));
    },
  });
  await withSession(open(cnn('softmax'), [watching()]), async (session) => {
    await session.fit({ epochs: 1 });
    const x = tf.ones([1, ...SHAPE]);
    const [predicted] = Object.values(await session.predict(x));
    expect(sum(predicted!)).toBeCloseTo(1, 6);
    tf.dispose([x, predicted!]);
  });
  expect(Math.abs(seen['loss']! - 1)).toBeGreaterThan(1e-3);
  expect(Math.abs(seen['evaluate']! - 1)).toBeGreaterThan(1e-3);
});
