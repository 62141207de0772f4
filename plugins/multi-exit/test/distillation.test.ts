import { appendLayers, definePlugin, SOFT_TARGETS } from '@espalier/core';
import type { Plugin } from '@espalier/core';
import {
  deepestExit,
  exitDistillation,
  multiExit,
  softDivergence,
  squaredDistance,
} from '@espalier/plugin-multi-exit';
import {
  agreement,
  finiteDifferences,
  onBackend,
  tinyCnn,
  tinyMlp,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { observer, open } from './support.js';

describe.each(['cpu', 'wasm'] as const)('the maths on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  const teacher = [
    [2, -1, 0.5],
    [0, 0, 3],
  ];
  const student = [
    [-1, 1, 0],
    [2, 0.1, -0.3],
  ];

  test.each([0.5, 1, 3])('τ²·KL at temperature %d matches a slow reference', (temperature) => {
    const softmax = (row: number[]) => {
      const powers = row.map((x) => Math.exp(x / temperature));
      return powers.map((power) => power / powers.reduce((a, b) => a + b));
    };
    const expected = teacher.map((row, i) => {
      const [q, p] = [softmax(row), softmax(student[i]!)];
      return temperature ** 2 * q.reduce((sum, each, k) => sum + each * Math.log(each / p[k]!), 0);
    });
    const actual = tf.tidy(() =>
      softDivergence(tf.tensor2d(teacher), tf.tensor2d(student), temperature).arraySync(),
    );
    actual.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
  });

  test('is 0 for equal distributions, whatever constant is added to the logits', () => {
    const same = tf.tidy(() => {
      const logits = tf.tensor2d(teacher);
      return softDivergence(logits, tf.add(logits, 5), 2).arraySync();
    });
    same.forEach((value) => expect(Math.abs(value)).toBeLessThan(1e-5));
  });

  test('gradients for student and teacher agree with finite differences', () => {
    const f = (q: Tensor, p: Tensor) =>
      tf.sum(softDivergence(q as Tensor2D, p as Tensor2D, 3)) as Scalar;
    const xs = [tf.tensor2d(teacher), tf.tensor2d(student)];
    const exact = tf
      .grads(f as never)(xs)
      .map((g) => g.dataSync().slice());
    expect(agreement(exact, finiteDifferences(f, xs)).relativeError).toBeLessThan(5e-3);
  });

  test('the squared distance sums over all features of an example', () => {
    const distance = tf.tidy(() =>
      squaredDistance(tf.ones([2, 2, 3]), tf.mul(tf.ones([2, 2, 3]), 3)).arraySync(),
    );
    expect(distance).toEqual([24, 24]);
  });
});

describe('the plugin', () => {
  beforeAll(() => onBackend('wasm'));

  /** Terms of one evaluation: unweighted value and weight by name. */
  const termsWith = async (plugins: readonly Plugin[], model = tinyMlp) => {
    const terms: Record<string, { value: number; weight: number }> = {};
    const look = observer(({ terms: { all } }) => {
      for (const { name, value, weight } of all) {
        terms[name] = { value: value.dataSync()[0]!, weight };
      }
    });
    await withSession(open(model, [...plugins, look]), (session) => session.fit({ epochs: 1 }));
    return terms;
  };

  test('scales the labels’ terms of taught exits by 1 − α, and leaves the teacher’s alone', async () => {
    const terms = await termsWith([
      multiExit({ weights: 2 }),
      deepestExit(),
      exitDistillation({ alpha: 0.3 }),
    ]);
    expect(terms['multi-exit/exit_1']!.weight).toBeCloseTo(2 * 0.7);
    expect(terms['exit-distillation/exit_1']!.weight).toBe(0.3);
    expect(terms['exit-distillation/exit_1']!.value).toBeGreaterThan(0);
    expect(terms['task/cross-entropy']!.weight).toBe(1);
    expect(Object.keys(terms)).toHaveLength(3);
  });

  test('adds a hint per auxiliary exit', async () => {
    const terms = await termsWith(
      [
        multiExit({ branch: 'bottleneck', at: 'stage*_relu' }),
        deepestExit(),
        exitDistillation({ hint: 1e-3 }),
      ],
      tinyCnn,
    );
    const hints = Object.keys(terms).filter((name) => name.endsWith('/hint'));
    expect(hints).toEqual([1, 2, 3].map((i) => `exit-distillation/exit_${i}/hint`));
    expect(terms[hints[0]!]).toMatchObject({ weight: 1e-3 });
  });

  test('teaches the whole network when a provider has a target for its own output', async () => {
    const terms = await termsWith([provider({ logits: 3 }), exitDistillation({ alpha: 0.9 })]);
    expect(terms['task/cross-entropy']!.weight).toBeCloseTo(0.1);
    expect(terms['exit-distillation/logits']!.weight).toBe(0.9);
  });

  /** Which parameters outside the branch the soft terms move. */
  const reachedBySoftTerms = async (detach: boolean) => {
    const plugins = [multiExit({ detach: true }), deepestExit({ detach }), exitDistillation()];
    return withSession(open(tinyMlp, plugins), async (session) => {
      const raw = { x: tf.ones([3, 6]), y: tf.tensor1d([0, 1, 2], 'int32') };
      const batch = await session.batch(raw, 'soft');
      const terms = ({ owner }: { owner: string }) => owner === 'exit-distillation';
      const { total, values, gradients } = session.gradients(batch, { terms });
      const moved = Object.entries(gradients).filter(
        ([, gradient]) => Math.max(...gradient.dataSync().map(Math.abs)) > 0,
      );
      const paths = moved.map(([path]) => path).sort();
      tf.dispose([raw, total, [...values], gradients]);
      return paths;
    });
  };

  test('the deepest exit is moved by its students only if it is not detached', async () => {
    const branch = ['exit_1/bias', 'exit_1/kernel'];
    expect(await reachedBySoftTerms(true)).toEqual(branch);
    const backbone = ['hidden/bias', 'hidden/kernel', 'logits/bias', 'logits/kernel'];
    expect(await reachedBySoftTerms(false)).toEqual([...branch, ...backbone]);
  });

  describe('refuses', () => {
    const refusal = (plugins: readonly Plugin[], model = tinyMlp) =>
      expect(termsWith(plugins, model)).rejects;

    test('to run without a provider, before anything is computed', () =>
      expect(open(tinyMlp, [multiExit(), exitDistillation()])).rejects.toThrow(
        /nothing in this run provides 'soft-targets'/,
      ));

    test('the deepest exit of a network without exits', () =>
      refusal([deepestExit(), exitDistillation()]).toThrow(/nothing in this run provides 'exits'/));

    test('two providers', () =>
      refusal([multiExit(), deepestExit(), provider({}), exitDistillation()]).toThrow(
        /both provide 'soft-targets'/,
      ));

    test('targets for no output', () =>
      refusal([multiExit(), provider({ exit_7: 3 }), exitDistillation()]).toThrow(
        /no such output.*Did you mean 'exit_1'\?.*exit-distillation\/targets/,
      ));

    test('targets of another width', () =>
      refusal([multiExit(), provider({ exit_1: 4 }), exitDistillation()]).toThrow(
        /another shape than its output \[4, 3\].*\[4,4\]/,
      ));

    test('hints between features of different widths', () =>
      refusal([multiExit(), deepestExit(), exitDistillation({ hint: 1 })], tinyCnn).toThrow(
        /those of 'exit_1' are \[4, 4\].*bottleneck.*exit-distillation\/hint/,
      ));

    test('an exit that no label trains', () =>
      refusal([unlabelled(), provider({ extra: 3 }), exitDistillation()]).toThrow(
        /no term of the loss trains 'extra'.*exit-distillation\/no-hard-term/,
      ));

    test('options out of range', () => {
      expect(() => exitDistillation({ alpha: 2 })).toThrow(/alpha/);
      expect(() => exitDistillation({ temperature: 0 })).toThrow(/temperature/);
      expect(() => exitDistillation({ tau: 3 } as never)).toThrow(/unknown option 'tau'/);
    });
  });
});

/** Soft targets of zeros, `[batch, classes]`, by output. */
function provider(classes: Readonly<Record<string, number>>): Plugin {
  return definePlugin({
    id: 'provider',
    version: '0.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply(ctx) {
      ctx.provide(SOFT_TARGETS, () => ({
        name: 'zeros',
        logits: ({ batch }) =>
          Object.fromEntries(
            Object.entries(classes).map(([name, width]) => [
              name,
              tf.zeros([batch.size, width]) as Tensor2D,
            ]),
          ),
      }));
    },
  })();
}

/** An output `extra` that no loss term trains. */
function unlabelled(): Plugin {
  return definePlugin({
    id: 'unlabelled',
    version: '0.0.0',
    options: z.strictObject({}),
    effects: { 'structure:extra': 'own' },
    stateless: true,
    apply(ctx) {
      const extra = tfl.layers.dense({ name: 'extra', units: 3 });
      ctx.edit((graph) => appendLayers(graph, { after: 'hidden', layers: [extra], output: true }));
    },
  })();
}
