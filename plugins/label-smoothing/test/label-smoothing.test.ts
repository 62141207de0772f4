import {
  binaryCrossEntropy,
  createSession,
  crossEntropy,
  meanSquaredError,
  sgd,
} from '@espalier/core';
import type { Plugin, Session, SessionConfig, Source } from '@espalier/core';
import { labelSmoothing, smoothLabels } from '@espalier/plugin-label-smoothing';
import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import {
  agreement,
  finiteDifferences,
  firstDifference,
  onBackend,
  tinyMlp,
  tinySource,
  trainedValues,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';

type Options = Parameters<typeof labelSmoothing>[0];

const open = (plugins: readonly Plugin[], more: Partial<SessionConfig> = {}): Promise<Session> =>
  createSession({
    model: tinyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource(),
    validation: tinySource({ seed: 1 }),
    plugins,
    ...more,
  });

const inputs = [
  [1, -2, 0.5, 0, 3, -1],
  [0.2, 0.1, -0.4, 2, -1, 1],
];
const labels = [2, 0];
const rawBatch = () => ({ x: tf.tensor2d(inputs), y: tf.tensor1d(labels, 'int32') });

/** −Σ q log p by hand, q the smoothed label; the mean over examples. */
function slowLoss(logits: Float32Array, targets: readonly number[][], epsilon: number): number {
  const classes = targets[0]!.length;
  const perExample = targets.map((target, row) => {
    const own = Array.from(logits.subarray(row * classes, (row + 1) * classes));
    const norm = Math.log(own.reduce((sum, logit) => sum + Math.exp(logit), 0));
    return target.reduce(
      (sum, q, k) => sum - ((1 - epsilon) * q + epsilon / classes) * (own[k]! - norm),
      0,
    );
  });
  return perExample.reduce((a, b) => a + b) / targets.length;
}

const oneHot = (id: number) => [0, 1, 2].map((k) => Number(k === id));

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('smoothed labels are distributions: 1 − ε + ε/K for the class, ε/K for the others', () => {
    const smoothed = tf.tidy(() => smoothLabels(tf.tensor2d([[0, 1, 0, 0]]), 0.2).dataSync());
    [0.05, 0.85, 0.05, 0.05].forEach((q, k) => expect(smoothed[k]).toBeCloseTo(q, 6));
  });

  test.each([0, 0.1, 0.6])('the loss at ε = %d matches a slow reference', (epsilon) =>
    withSession(open([labelSmoothing({ epsilon })]), async (session) => {
      const raw = rawBatch();
      const batch = await session.batch(raw, 'reference');
      const total = session.objective(batch);
      const values = valuesOf({ total, ...(await session.predict(raw.x)) });
      const expected = slowLoss(values.get('logits') as Float32Array, labels.map(oneHot), epsilon);
      expect(values.get('total')![0]).toBeCloseTo(expected, 5);
    }),
  );

  test('gradients agree with central differences of the objective', () =>
    withSession(open([labelSmoothing({ epsilon: 0.3 }), multiExit()]), async (session) => {
      const batch = await session.batch(rawBatch(), 'gradients');
      const { gradients } = session.gradients(batch);
      const paths = Object.keys(gradients);
      const parameters = session.parameters();
      const f = (...xs: tf.Tensor[]): Scalar => {
        const params = Object.fromEntries(paths.map((path, i) => [path, xs[i]!]));
        return session.objective(batch, { params });
      };
      const slow = finiteDifferences(
        f,
        paths.map((path) => parameters[path]!),
      );
      const exact = paths.map((path) => gradients[path]!.dataSync());
      expect(paths).toContain('exit_1/kernel');
      expect(agreement(exact, slow).relativeError).toBeLessThan(5e-3);
    }));
});

describe('in a run', () => {
  beforeAll(() => onBackend('wasm'));

  test('ε = 0 trains as without', async () => {
    const trained = (plugins: readonly Plugin[]) =>
      withSession(open(plugins), (session) => trainedValues(session, 2));
    expect(
      firstDifference(await trained([labelSmoothing({ epsilon: 0 })]), await trained([])),
    ).toBeUndefined();
    expect(firstDifference(await trained([labelSmoothing()]), await trained([]))).toBeDefined();
  });

  test('distributions are smoothed like class ids', async () => {
    const ids = tinySource();
    const distributions: Source = {
      ...ids,
      async *iterate(options) {
        for await (const { x, y } of ids.iterate(options)) {
          yield { x, y: tf.tidy(() => tf.cast(tf.oneHot(y as tf.Tensor1D, 3), 'float32')) };
          tf.dispose(y!);
        }
      },
    };
    const trained = (train: Source) =>
      withSession(open([labelSmoothing()], { train }), (session) => trainedValues(session, 1));
    expect(firstDifference(await trained(distributions), await trained(ids))).toBeUndefined();
  });

  test('validation keeps the labels as they are', async () => {
    const evaluated = (plugins: readonly Plugin[]) =>
      withSession(open(plugins), (session) => session.evaluate());
    expect(await evaluated([labelSmoothing({ epsilon: 0.5 })])).toEqual(await evaluated([]));
  });

  /** Unweighted terms of the loss on one batch, at the initial parameters. */
  const termsWith = (plugins: readonly Plugin[]) =>
    withSession(open(plugins), async (session) => {
      const batch = await session.batch(rawBatch(), 'terms');
      const { terms, values } = session.gradients(batch);
      return Object.fromEntries(terms.map(({ name }, i) => [name, values[i]!.dataSync()[0]!]));
    });

  test('the labels of exits are smoothed too, what the deepest exit teaches is not', async () => {
    const method = () => [multiExit(), deepestExit(), exitDistillation()];
    const plain = await termsWith(method());
    const smooth = await termsWith([...method(), labelSmoothing({ epsilon: 0.5 })]);
    const changed = Object.keys(plain).filter((name) => plain[name] !== smooth[name]);
    expect(Object.keys(smooth)).toEqual(Object.keys(plain));
    expect(changed.sort()).toEqual(['multi-exit/exit_1', 'task/cross-entropy']);
  });

  /** Three classes and a number, from one body. */
  function twoHeads(): LayersModel {
    const input = tfl.input({ shape: [6], name: 'input' });
    const head = (name: string, units: number) =>
      tfl.layers.dense({ name, units }).apply(input) as SymbolicTensor;
    return tfl.model({ inputs: input, outputs: [head('kind', 3), head('size', 1)] });
  }
  const headed: Partial<SessionConfig> = {
    model: twoHeads,
    loss: { kind: crossEntropy(), size: meanSquaredError() },
  };

  test('of several outputs, those that are named are smoothed', () =>
    withSession(
      open([labelSmoothing({ epsilon: 0.5, outputs: ['kind'] })], headed),
      async (session) => {
        const raw = {
          x: tf.tensor2d(inputs),
          y: { kind: tf.tensor1d(labels, 'int32'), size: tf.tensor2d([[4], [2]]) },
        };
        const batch = await session.batch(raw, 'heads');
        const { terms, values } = session.gradients(batch);
        const predicted = valuesOf(await session.predict(raw.x));
        const [kind, size] = ['kind', 'size'].map((name) => predicted.get(name) as Float32Array);
        const [a, b] = size!;
        expect(terms.map(({ name }) => name)).toEqual([
          'task/kind/cross-entropy',
          'task/size/mean-squared-error',
        ]);
        const expected = [
          slowLoss(kind!, labels.map(oneHot), 0.5),
          ((a! - 4) ** 2 + (b! - 2) ** 2) / 2,
        ];
        values.forEach((value, i) => expect(value.dataSync()[0]).toBeCloseTo(expected[i]!, 4));
      },
    ));

  test.each<[string, Options, Partial<SessionConfig>, RegExp]>([
    [
      'a regression',
      {},
      { loss: meanSquaredError() },
      /\[plugin label-smoothing\].*'logits' are no labels of classes.*mean-squared-error.*crossEntropy.*no-classes/,
    ],
    ['independent labels', {}, { loss: binaryCrossEntropy() }, /its loss is binary-cross-entropy/],
    [
      'one regression of several outputs',
      {},
      headed,
      /'size' are no labels of classes.*option outputs/,
    ],
    [
      'an unknown output',
      { outputs: ['logit'] },
      {},
      /no loss for an output 'logit'.*Did you mean 'logits'\?.*label-smoothing\/output/,
    ],
  ])('refuses %s at setup', (_, options, more, message) =>
    expect(open([labelSmoothing(options)], more)).rejects.toThrow(message),
  );

  test.each([
    [{ epsilon: 1 }, /option 'epsilon'.*below 1, or nothing is left of the labels/],
    [{ epsilon: -0.1 }, /option 'epsilon'/],
    [{ epsilon: NaN }, /option 'epsilon'/],
    [{ epsilom: 0.1 }, /unknown option 'epsilom'. Did you mean 'epsilon'\?/],
    [{ outputs: [] }, /option 'outputs'/],
  ])('refuses the options %j', (options, message) => {
    expect(() => labelSmoothing(options as Options)).toThrow(message);
  });
});

test('the function alone refuses class ids, and an epsilon that leaves nothing', () => {
  const ids = tf.tensor1d([0, 2], 'int32');
  const labels = tf.tensor2d([[0, 1]]);
  expect(() => smoothLabels(ids, 0.1)).toThrow(/label-smoothing\/ids/);
  expect(() => smoothLabels(labels, 1)).toThrow(/label-smoothing\/epsilon/);
  tf.dispose([ids, labels]);
});
