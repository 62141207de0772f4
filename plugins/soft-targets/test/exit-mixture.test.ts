import type { Session, Term } from '@espalier/core';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { exitMixture, mixLogits } from '@espalier/plugin-soft-targets';
import {
  agreement,
  directional,
  finiteDifferences,
  onBackend,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { batchFor, disposeGradients, moved, oddCnn, onlooker, open } from './support.js';

beforeAll(() => onBackend('cpu'));

type Rows = readonly (readonly number[])[];
const exits = multiExit({ at: ['stage1', 'stage3'] });
const everyone = ['exit_1', 'exit_2', 'logits'];
const byMixture = ({ owner }: Pick<Term, 'owner'>) => owner === 'exit-mixture';

const softmax = (row: readonly number[]) => {
  const powers = row.map(Math.exp);
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
};
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** Σ_m softmax(weights)_m · logits_m, number by number. */
const slowMixture = (members: readonly Rows[], weights: readonly number[]): Rows => {
  const shares = softmax(weights);
  return members[0]!.map((row, i) =>
    row.map((_, k) => sum(members.map((each, m) => shares[m]! * each[i]![k]!))),
  );
};

const MEMBERS: readonly Rows[] = [
  [
    [1, 0, -1],
    [2, 2, 0],
  ],
  [
    [0, 3, 0.5],
    [-1, 0, 1],
  ],
];

describe('mixLogits', () => {
  test('is the weighted sum of its definition', () => {
    const made = tf.tidy(() =>
      mixLogits(
        MEMBERS.map((rows) => tf.tensor2d(rows as number[][])),
        tf.tensor1d([0.7, -0.4]),
      ).arraySync(),
    );
    slowMixture(MEMBERS, [0.7, -0.4]).forEach((row, i) =>
      row.forEach((value, k) => expect(made[i]![k]).toBeCloseTo(value, 5)),
    );
  });

  test('its gradients agree with finite differences', () => {
    const f = (a: Tensor, b: Tensor, weights: Tensor) =>
      tf.sum(tf.square(mixLogits([a, b] as Tensor2D[], weights as Tensor1D))) as Scalar;
    const xs = [
      ...MEMBERS.map((rows) => tf.tensor2d(rows as number[][])),
      tf.tensor1d([0.7, -0.4]),
    ];
    const exact = tf
      .grads(f as never)(xs)
      .map((each) => each.dataSync().slice());
    expect(agreement(exact, finiteDifferences(f, xs)).relativeError).toBeLessThan(5e-3);
  });

  test('refuses members that do not fit', () => {
    tf.tidy(() => {
      const member = tf.zeros([2, 3]) as Tensor2D;
      expect(() => mixLogits([member], tf.tensor1d([0, 0]))).toThrow(/exit-mixture\/members/);
      expect(() => mixLogits([], tf.tensor1d([]))).toThrow(/exit-mixture\/members/);
    });
  });
});

/** Other weights than the equal ones that a run begins with. */
const WEIGHTS = [
  [0.3, -0.5, 1],
  [-1, 0.4, 0.2],
  [0, 0.9, -0.7],
];
const paramsFor = (weights: Rows) =>
  Object.fromEntries(
    weights.map((row, i) => [`exit-mixture:mix_${i + 1}/weights`, tf.tensor1d([...row])]),
  );

describe('exitMixture', () => {
  test.each([
    ['all', 0.8, WEIGHTS],
    ['deeper', 0.6, [[0.3, -0.5], [0.4]]],
  ] as const)('mixes %s exits, its primary teacher by %d', async (members, primary, weights) => {
    const seen: Record<'targets' | 'outputs', Record<string, Rows>> = { targets: {}, outputs: {} };
    const read = (tensors: Readonly<Record<string, Tensor>>) =>
      Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.arraySync() as Rows]));
    const look = onlooker((targets, { outputs }) => {
      Object.assign(seen, { targets: read(targets), outputs: read(outputs) });
    });
    const plugins = [exits, exitMixture({ members, primary }), look];
    await withSession(open(oddCnn, plugins), async (session) => {
      const params = paramsFor(weights);
      session.objective(await batchFor(session, oddCnn), { params }).dispose();
      tf.dispose(params);
    });
    const teachers = weights.map((row, i) => {
      const names = members === 'all' ? everyone : everyone.slice(i + 1);
      return slowMixture(
        names.map((name) => seen.outputs[name]!),
        row,
      );
    });
    expect(Object.keys(seen.targets)).toEqual(everyone.slice(0, weights.length));
    teachers.forEach((own, i) => {
      const others = teachers.filter((_, k) => k !== i);
      own.forEach((row, example) =>
        row.forEach((value, k) => {
          const rest = sum(others.map((each) => each[example]![k]!)) / others.length;
          const expected = primary * value + (1 - primary) * rest;
          expect(seen.targets[everyone[i]!]![example]![k]).toBeCloseTo(expected, 4);
        }),
      );
    });
  });

  const gradientsAt = async (session: Session) => {
    const batch = await batchFor(session, oddCnn);
    const params = paramsFor(WEIGHTS);
    return { batch, params, gradients: session.gradients(batch, { terms: byMixture, params }) };
  };

  test('labels and the gap to the student train its weights alone, with right gradients', () =>
    withSession(
      open(oddCnn, [exits, exitMixture({ gap: 0.5 }), exitDistillation()]),
      async (session) => {
        const { batch, params, gradients } = await gradientsAt(session);
        const paths = Object.keys(params);
        expect(moved(gradients)).toEqual(paths);
        const at = (...xs: Tensor[]) =>
          session.objective(batch, {
            terms: byMixture,
            params: Object.fromEntries(paths.map((path, i) => [path, xs[i]!])),
          });
        const xs = Object.values(params);
        const exact = paths.map((path) => gradients.gradients[path]!);
        for (const seed of [0, 1, 2]) {
          const [numeric, analytic] = directional(at, xs, exact, { seed, step: 0.05 });
          expect(numeric / analytic).toBeCloseTo(1, 1);
        }
        tf.dispose(params);
        disposeGradients(gradients);
      },
    ));

  test('its shares are numbers of the epoch, equal at first, and learn', () =>
    withSession(
      open(oddCnn, [exits, exitMixture({ learningRate: 0.05 }), exitDistillation()]),
      async (session) => {
        const { history } = await session.fit({ epochs: 2 });
        const shares = everyone.map(
          (member) => history[1]!.metrics[`exit-mixture/exit_1/${member}`]!,
        );
        expect(sum(shares)).toBeCloseTo(1, 5);
        expect(Math.max(...shares.map((each) => Math.abs(each - 1 / 3)))).toBeGreaterThan(0.01);
      },
    ));
});
