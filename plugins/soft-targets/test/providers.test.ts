import { crossEntropy, meanSquaredError } from '@espalier/core';
import type { LossContext, Plugin } from '@espalier/core';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { exitEnsemble, uniformTargets } from '@espalier/plugin-soft-targets';
import { onBackend, tinyMlp, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { batchFor, disposeGradients, moved, oddCnn, onlooker, open } from './support.js';

beforeAll(() => onBackend('cpu'));

type Rows = number[][];
const exits = multiExit({ at: ['stage1', 'stage3'] });

/** Soft targets and outputs of one evaluation. */
async function seen(provider: Plugin, others: readonly Plugin[] = [exits], model = oddCnn) {
  let targets: Record<string, Rows> = {};
  let outputs: Record<string, Rows> = {};
  const rows = (tensors: LossContext['outputs']) =>
    Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.arraySync() as Rows]));
  const look = onlooker((given, context) => {
    targets = rows(given);
    outputs = rows(context.outputs);
  });
  await withSession(open(model, [...others, provider, look]), async (session) => {
    session.objective(await batchFor(session, model)).dispose();
  });
  return { targets, outputs };
}

function softmax(row: readonly number[], temperature = 1): number[] {
  const powers = row.map((x) => Math.exp(x / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

const normalized = (row: readonly number[]) => {
  const sum = row.reduce((a, b) => a + b);
  return row.map((x) => x / sum);
};

/** Of some distributions, class by class. */
const MEANS = {
  arithmetic: (rows: Rows) =>
    rows[0]!.map((_, k) => rows.reduce((sum, row) => sum + row[k]!, 0) / rows.length),
  geometric: (rows: Rows) =>
    normalized(
      rows[0]!.map(
        (_, k) => rows.reduce((product, row) => product * row[k]!, 1) ** (1 / rows.length),
      ),
    ),
};

describe('exitEnsemble', () => {
  const everyone = ['exit_1', 'exit_2', 'logits'];
  test.each([
    ['geometric', 'all', 3],
    ['arithmetic', 'all', 1],
    ['geometric', 'deeper', 3],
    ['arithmetic', 'deeper', 1],
  ] as const)('%s mean of %s exits, at temperature %d', async (mean, members, temperature) => {
    const { targets, outputs } = await seen(exitEnsemble({ mean, members }));
    const taught = members === 'all' ? everyone : everyone.slice(0, -1);
    expect(Object.keys(targets)).toEqual(taught);
    taught.forEach((exit, i) => {
      const teachers = members === 'all' ? everyone : everyone.slice(i + 1);
      targets[exit]!.forEach((row, example) => {
        const each = teachers.map((name) => softmax(outputs[name]![example]!, temperature));
        const expected = MEANS[mean](each);
        softmax(row, temperature).forEach((q, k) => expect(q).toBeCloseTo(expected[k]!, 5));
      });
    });
  });

  test('teaches without being moved', () => {
    const plugins = [
      multiExit({ at: ['stage1'], detach: true }),
      exitEnsemble({ members: 'deeper' }),
      exitDistillation(),
    ];
    return withSession(open(oddCnn, plugins), async (session) => {
      const gradients = session.gradients(await batchFor(session, oddCnn), {
        terms: ({ owner }) => owner === 'exit-distillation',
      });
      expect(moved(gradients)).toEqual(['exit_1/bias', 'exit_1/kernel']);
      disposeGradients(gradients);
    });
  });

  test('teaches the last exit, too, where all are members', () =>
    withSession(open(oddCnn, [exits, exitEnsemble(), exitDistillation()]), async (session) => {
      const { history } = await session.fit({ epochs: 1 });
      const soft = everyone.map((exit) => `loss/exit-distillation/${exit}`);
      expect(Object.keys(history[0]!.metrics)).toEqual(expect.arrayContaining(soft));
    }));
});

describe('uniformTargets', () => {
  test.each([
    [undefined, ['exit_1', 'exit_2', 'logits']],
    ['auxiliary', ['exit_1', 'exit_2']],
    [['exit_2'], ['exit_2']],
  ] as const)('teaches %j: %j', async (given, taught) => {
    const options = given && { exits: typeof given === 'string' ? given : [...given] };
    const { targets } = await seen(uniformTargets(options));
    expect(Object.keys(targets)).toEqual(taught);
    for (const row of Object.values(targets).flat()) expect(row).toEqual([0, 0, 0]);
  });

  test('teaches the one output of a network without exits', async () => {
    const { targets } = await seen(uniformTargets(), [], tinyMlp);
    expect(Object.keys(targets)).toEqual(['logits']);
  });

  test('teaches those outputs of a network without exits that classify', async () => {
    const input = tfl.input({ name: 'x', shape: [6] });
    const head = (name: string, units: number) =>
      tfl.layers.dense({ name, units }).apply(input) as tfl.SymbolicTensor;
    const model = () => tfl.model({ inputs: input, outputs: [head('logits', 3), head('size', 3)] });
    let taught: readonly string[] = [];
    const look = onlooker((targets) => (taught = Object.keys(targets)));
    const loss = { logits: crossEntropy(), size: meanSquaredError() };
    await withSession(open(model, [uniformTargets(), look], { loss }), async (session) => {
      const y = { logits: tf.tensor1d([0, 1], 'int32'), size: tf.ones([2, 3]) };
      session.objective(await session.batch({ x: tf.ones([2, 6]), y }, 'b')).dispose();
    });
    expect(taught).toEqual(['logits']);
  });

  test('refuses to teach what is no output', () =>
    expect(seen(uniformTargets({ exits: ['exit_7'] }))).rejects.toThrow(
      /no output 'exit_7'.*Did you mean 'exit_1'\?.*uniform-targets\/exits/,
    ));
});
