import { definePlugin, memoryStore, SOFT_TARGETS } from '@espalier/core';
import type { Plugin, SessionConfig } from '@espalier/core';
import {
  decoupledDivergence,
  deepestExit,
  exitDistillation,
  measureTargets,
  multiExit,
  softDivergence,
} from '@espalier/plugin-multi-exit';
import type {
  DecoupledOptions,
  ExitDistillationOptions,
  TargetMeasures,
} from '@espalier/plugin-multi-exit';
import { agreement, finiteDifferences, onBackend, tinyMlp, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { observer, open } from './support.js';

beforeAll(() => onBackend('cpu'));

type Row = readonly number[];
const TEACHER = [
  [2, -1, 0.5],
  [0, 0, 3],
  [1, 1.5, -2],
];
const STUDENT = [
  [-1, 1, 0],
  [2, 0.1, -0.3],
  [0.2, 0, 0.1],
];
const LABELS = [0, 1, 1];

const softmax = (row: Row, temperature: number) => {
  const powers = row.map((x) => Math.exp(x / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
};
const sum = (values: Row) => values.reduce((a, b) => a + b, 0);
const divergence = (q: Row, p: Row) => sum(q.map((each, k) => each * Math.log(each / p[k]!)));

describe('measureTargets', () => {
  test.each([1, 3])('is what its definitions say, at temperature %d', (temperature) => {
    const found = tf.tidy(() => {
      const student = tf.tensor2d(STUDENT);
      const labels = tf.tensor1d(LABELS, 'int32');
      const measured = measureTargets(tf.tensor2d(TEACHER), { student, labels, temperature });
      const names = Object.keys(measured) as (keyof TargetMeasures)[];
      return names.map((name) => [name, measured[name].arraySync()] as const);
    });
    const measures = TEACHER.map((row, i) => {
      const [q, p] = [softmax(row, temperature), softmax(STUDENT[i]!, temperature)];
      const uniform = q.map(() => 1 / q.length);
      return {
        accuracy: Number(q.indexOf(Math.max(...q)) === LABELS[i]),
        entropy: -sum(q.map((each) => each * Math.log(each))),
        confidence: Math.max(...q),
        divergence: divergence(q, p),
        fromUniform: divergence(q, uniform),
      };
    });
    expect(found.map(([name]) => name)).toEqual(Object.keys(measures[0]!));
    for (const [name, values] of found) {
      measures.forEach((each, i) => expect(values[i]).toBeCloseTo(each[name], 5));
    }
  });
});

describe('decoupledDivergence', () => {
  /** By its definition. */
  const slow = (i: number, { temperature, target, nonTarget }: Required<Weights>) => {
    const [q, p] = [softmax(TEACHER[i]!, temperature), softmax(STUDENT[i]!, temperature)];
    const label = LABELS[i]!;
    const binary = (row: Row) => [row[label]!, 1 - row[label]!];
    const others = (row: Row) =>
      row.filter((_, k) => k !== label).map((each) => each / (1 - row[label]!));
    const [between, among] = [divergence(binary(q), binary(p)), divergence(others(q), others(p))];
    return temperature ** 2 * (target * between + nonTarget * among);
  };
  type Weights = Omit<DecoupledOptions, 'labels'>;
  const compute = (weights: Weights, labels: Tensor) =>
    tf.tidy(() =>
      decoupledDivergence(tf.tensor2d(TEACHER), tf.tensor2d(STUDENT), {
        labels,
        ...weights,
      }).arraySync(),
    );

  test.each([
    { temperature: 1, target: 1, nonTarget: 0 },
    { temperature: 4, target: 0, nonTarget: 1 },
    { temperature: 2, target: 1, nonTarget: 8 },
  ])('is the sum of its two parts: %o', (weights) => {
    const ids = tf.tensor1d(LABELS, 'int32');
    const smooth = tf.tidy(() => tf.add(tf.mul(tf.cast(tf.oneHot(ids, 3), 'float32'), 0.7), 0.1));
    for (const labels of [ids, smooth]) {
      compute(weights, labels).forEach((value, i) =>
        expect(value).toBeCloseTo(slow(i, weights), 4),
      );
    }
    tf.dispose([ids, smooth]);
  });

  test('its gradients agree with finite differences', () => {
    const labels = tf.tensor1d(LABELS, 'int32');
    const options = { labels, temperature: 2, target: 1, nonTarget: 3 };
    const f = (q: Tensor, p: Tensor) =>
      tf.sum(decoupledDivergence(q as Tensor2D, p as Tensor2D, options)) as Scalar;
    const xs = [tf.tensor2d(TEACHER), tf.tensor2d(STUDENT)];
    const exact = tf
      .grads(f as never)(xs)
      .map((each) => each.dataSync().slice());
    expect(agreement(exact, finiteDifferences(f, xs)).relativeError).toBeLessThan(5e-3);
  });

  test('is finite for a teacher that is all but certain', () => {
    const values = tf.tidy(() => {
      const teacher = tf.tensor2d([[60, 0, -60]]);
      const options = { labels: tf.tensor1d([0], 'int32'), temperature: 1 };
      const by = (p: Tensor) =>
        tf.sum(decoupledDivergence(teacher, p as Tensor2D, options)) as Scalar;
      const { value, grad } = tf.valueAndGrad(by as never)(tf.tensor2d([[-60, 60, 0]]));
      return [...value.dataSync(), ...grad.dataSync()];
    });
    expect(values.every(Number.isFinite)).toBe(true);
  });
});

/** Logits of each auxiliary exit's target: `sharpness` at class 0. */
function constant(sharpness: number, uniform?: boolean): Plugin {
  return definePlugin({
    id: 'constant',
    version: '0.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply(ctx) {
      ctx.provide(SOFT_TARGETS, () => ({
        name: 'constant',
        ...(uniform !== undefined && { uniform }),
        logits: ({ outputs }) => {
          const like = outputs['exit_1'] as Tensor2D;
          const row = [sharpness, ...Array<number>(like.shape[1] - 1).fill(0)];
          return { exit_1: tf.add(tf.zerosLike(like), tf.tensor1d(row)) };
        },
      }));
    },
  })();
}

const exit = multiExit({ at: ['hidden'] });

describe('in a run', () => {
  test('the targets of whoever teaches are measured in steps and on validation data', async () => {
    const expected: number[] = [];
    const temperature = 2;
    const look = observer(({ outputs, targets }) => {
      const [teacher, student] = [outputs['logits'], outputs['exit_1']] as [Tensor2D, Tensor2D];
      const measured = tf.tidy(() =>
        Object.values(
          measureTargets(teacher, { student, labels: targets['logits']!, temperature }),
        ).map((each) => tf.mean(each).dataSync()[0]!),
      );
      expected.splice(0, Infinity, ...measured);
    });
    const plugins = [exit, deepestExit(), exitDistillation({ temperature }), look];
    await withSession(open(tinyMlp, plugins), async (session) => {
      const names = ['accuracy', 'entropy', 'confidence', 'divergence', 'from-uniform'].map(
        (name) => `targets/exit_1/${name}`,
      );
      const batch = { x: tf.ones([2, 6]), y: tf.tensor1d([0, 2], 'int32') };
      const { metrics } = await session.step(batch);
      tf.dispose(batch);
      names.forEach((name, i) => expect(metrics[name]).toBeCloseTo(expected[i]!, 6));
      const evaluated = await session.evaluate();
      expect(evaluated['targets/exit_1/accuracy']).toBe(evaluated['accuracy']);
      expect(Object.keys(evaluated)).toEqual(expect.arrayContaining(names));
    });
  });

  test('watching them keeps no loop of one’s own from taking the loss', () =>
    withSession(open(tinyMlp, [exit, deepestExit(), exitDistillation()]), async (session) => {
      const batch = { x: tf.ones([2, 6]), y: tf.tensor1d([0, 2], 'int32') };
      const loss = session.loss(batch);
      expect(loss.dataSync()[0]).toBeGreaterThan(0);
      tf.dispose([loss, batch]);
    }));

  /** The weights of all terms in the first step of each epoch. */
  const weightsWith = async (options: ExitDistillationOptions, epochs = 1) => {
    const found: Record<string, number>[] = [];
    const look = observer(({ terms, clock }) => {
      found[clock.epoch] ??= Object.fromEntries(
        terms.all.map(({ name, weight }) => [name, weight]),
      );
    });
    const plugins = [exit, deepestExit(), exitDistillation(options), look];
    await withSession(open(tinyMlp, plugins), (session) => session.fit({ epochs }));
    return found;
  };
  const HARD = ['multi-exit/exit_1', 'task/cross-entropy'] as const;

  test.each<[ExitDistillationOptions, readonly [number, number]]>([
    [{ scaleLast: true }, [0.7, 0.7]],
    [{ keepLabels: true }, [1, 1]],
    [{ keepLabels: true, scaleLast: true }, [1, 1]],
  ])('%o weighs the labels', async (options, expected) => {
    const [weights] = await weightsWith({ alpha: 0.3, ...options });
    HARD.forEach((term, i) => expect(weights![term]).toBeCloseTo(expected[i]!));
    expect(weights!['exit-distillation/exit_1']).toBe(0.3);
  });

  test('the share of the soft loss may grow with the epochs', async () => {
    const alpha = { kind: 'linear', from: 0, to: 0.8, epochs: 2 } as const;
    const found = await weightsWith({ alpha }, 4);
    [0, 0.4, 0.8, 0.8].forEach((share, epoch) => {
      expect(found[epoch]!['exit-distillation/exit_1']).toBeCloseTo(share);
      expect(found[epoch]![HARD[0]]).toBeCloseTo(1 - share);
    });
  });

  test('decoupled distillation takes the place of KL', async () => {
    const values: number[] = [];
    const weights = { target: 0.5, nonTarget: 2 };
    const look = observer(({ outputs, targets, terms }) => {
      const [teacher, student] = [outputs['logits'], outputs['exit_1']] as [Tensor2D, Tensor2D];
      const options = { labels: targets['logits']!, temperature: 3, ...weights };
      const [found, kl] = tf.tidy(() =>
        [decoupledDivergence(teacher, student, options), softDivergence(teacher, student, 3)].map(
          (each) => tf.mean(each).dataSync()[0]!,
        ),
      );
      values.push(terms.get('exit-distillation/exit_1').dataSync()[0]! - found!, found! - kl!);
    });
    const decoupled = { kind: 'decoupled', ...weights } as const;
    const plugins = [exit, deepestExit(), exitDistillation({ divergence: decoupled }), look];
    await withSession(open(tinyMlp, plugins), (session) => session.fit({ epochs: 1 }));
    expect(values[0]).toBeCloseTo(0, 6);
    expect(Math.abs(values[1]!)).toBeGreaterThan(1e-3);
  });
});

describe('targets that stay uniform', () => {
  /** The warnings of a run of some epochs. */
  const warningsOf = async (
    teacher: Plugin,
    epochs: number,
    more: Partial<SessionConfig> = {},
    resumed = false,
  ) => {
    const warnings: string[] = [];
    const config = { validation: undefined, ...more } as Partial<SessionConfig>;
    const session = open(tinyMlp, [exit, teacher, exitDistillation()], config);
    await withSession(session, async (opened) => {
      opened.telemetry.on('warning', ({ message }) => void warnings.push(message));
      if (resumed) await opened.load();
      await opened.fit({ untilEpoch: epochs });
    });
    return warnings.filter((message) => message.includes('uniform'));
  };

  test('are warned of once, by name, after three epochs in a row', async () => {
    expect(await warningsOf(constant(0.1), 2)).toEqual([]);
    const [warning, ...others] = await warningsOf(constant(0.1), 7);
    expect(warning).toMatch(/targets of 'constant' for 'exit_1' .* 3 epochs in a row/);
    expect(others).toEqual([]);
  });

  test('are not warned of where they say something, or are uniform by design', async () => {
    expect(await warningsOf(constant(2), 3)).toEqual([]);
    expect(await warningsOf(constant(0, true), 3)).toEqual([]);
  });

  test('are counted over a resumption', async () => {
    const checkpoint = { store: memoryStore(), everyEpochs: 1 };
    expect(await warningsOf(constant(0.1), 2, { checkpoint })).toEqual([]);
    expect(await warningsOf(constant(0.1), 3, { checkpoint }, true)).toHaveLength(1);
    expect(await warningsOf(constant(0.1), 8, { checkpoint }, true)).toEqual([]);
  });
});

test('a network of sequences is refused before it trains', async () => {
  const words = () =>
    tfl.sequential({
      layers: [tfl.layers.dense({ name: 'logits', units: 3, inputShape: [5, 6] })],
    });
  await expect(open(words, [exitDistillation()])).rejects.toThrow(
    /'logits' gives \[batch, 5, 3\].*exit-distillation\/sequences/s,
  );
});
