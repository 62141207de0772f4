import { memoryStore } from '@espalier/core';
import type { LossContext, Plugin, SessionConfig } from '@espalier/core';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { previousEpoch } from '@espalier/plugin-soft-targets';
import { firstDifference, onBackend, tinyMlp, valuesOf, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { onlooker, open } from './support.js';

beforeAll(() => onBackend('cpu'));

type Rows = readonly (readonly number[])[];
const exits = multiExit({ at: ['hidden'] });

/** Ends in a softmax, and normalizes by moving statistics where nothing trains. */
function normalizedMlp(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ name: 'hidden', units: 4, inputShape: [6] }),
      tfl.layers.batchNormalization({ name: 'norm', momentum: 0.5 }),
      tfl.layers.dropout({ name: 'drop', rate: 0.5 }),
      tfl.layers.dense({ name: 'logits', units: 3, activation: 'softmax' }),
    ],
  });
}

test('teaches each exit what the network of the previous epoch says of this batch', async () => {
  const seen: { epoch: number; x: Rows; targets: Record<string, Rows> }[] = [];
  const look = onlooker((targets, { batch, clock }) => {
    seen[clock.epoch] ??= {
      epoch: clock.epoch,
      x: Object.values(batch.inputs)[0]!.arraySync() as Rows,
      targets: Object.fromEntries(
        Object.entries(targets).map(([name, each]) => [name, each.arraySync()]),
      ),
    };
  });
  await withSession(open(normalizedMlp, [exits, previousEpoch(), look]), async (session) => {
    await session.fit({ epochs: 2 });
    const before = await predict(session, [[0, 0, 0, 0, 0, 0]]);
    expect(seen[0]!.targets).toEqual({});
    expect(Object.keys(seen[1]!.targets)).toEqual(['exit_1', 'logits']);
    await session.fit({ epochs: 1 });
    const after = await predict(session, [[0, 0, 0, 0, 0, 0]]);
    expect(after['exit_1']).not.toEqual(before['exit_1']);
  });
  // What the second epoch began with says the same as the targets of its first batch.
  await withSession(open(normalizedMlp, [exits]), async (session) => {
    await session.fit({ epochs: 1 });
    const outputs = await predict(session, seen[1]!.x);
    outputs['exit_1']!.forEach((row, i) =>
      row.forEach((value, k) => expect(seen[1]!.targets['exit_1']![i]![k]).toBeCloseTo(value, 5)),
    );
    outputs['logits']!.forEach((row, i) => {
      const powers = seen[1]!.targets['logits']![i]!.map(Math.exp);
      const sum = powers.reduce((a, b) => a + b);
      row.forEach((value, k) => expect(powers[k]! / sum).toBeCloseTo(value, 5));
    });
  });
});

async function predict(session: Awaited<ReturnType<typeof open>>, rows: Rows) {
  const x = tf.tensor2d(rows as number[][]);
  const outputs = await session.predict(x);
  const values = Object.entries(outputs).map(
    ([name, each]) => [name, each.arraySync() as Rows] as const,
  );
  tf.dispose([x, outputs]);
  return Object.fromEntries(values);
}

const EPOCHS = 3;
const alpha = { kind: 'linear', from: 0.8 / EPOCHS, to: 0.8, epochs: EPOCHS - 1 } as const;
const plugins: readonly Plugin[] = [previousEpoch(), exitDistillation({ alpha, temperature: 1 })];

test('with a growing share, the gradient is that of the mixed labels of the paper', async () => {
  const differences: number[] = [];
  const shares: number[] = [];
  const look = onlooker((targets, context: LossContext) => {
    const { outputs, targets: labels, terms, mean, clock } = context;
    const teacher = targets['logits'];
    if (!teacher) return;
    const share = (0.8 * (clock.epoch + 1)) / EPOCHS;
    // CE(p, (1 − α)·y + α·q) − α·H(q), which has the same gradient, is the weighted sum of the terms.
    const gap = tf.tidy(() => {
      const logP = tf.logSoftmax(outputs['logits']!);
      const [q, logQ] = [tf.softmax(teacher), tf.logSoftmax(teacher)];
      const y = tf.cast(tf.oneHot(labels['logits'] as tf.Tensor1D, 3), 'float32');
      const mixed = tf.add(tf.mul(y, 1 - share), tf.mul(q, share));
      const hard = tf.neg(tf.sum(tf.mul(mixed, logP), -1));
      const entropy = tf.neg(tf.sum(tf.mul(q, logQ), -1));
      const paper = mean(tf.sub(hard, tf.mul(entropy, share)) as tf.Tensor1D).dataSync()[0]!;
      const total = terms.all.reduce(
        (sum, { value, weight }) => sum + weight * value.dataSync()[0]!,
        0,
      );
      return paper - total;
    });
    differences.push(gap);
    shares.push(share);
  });
  const taps = { ...look, order: { after: ['exit-distillation'] } };
  await withSession(open(tinyMlp, [...plugins, taps]), (session) =>
    session.fit({ epochs: EPOCHS }),
  );
  expect(new Set(shares).size).toBe(EPOCHS - 1);
  differences.forEach((gap) => expect(Math.abs(gap)).toBeLessThan(1e-5));
});

test('goes on bit for bit from a checkpoint in the middle of an epoch', async () => {
  const train = (more: Partial<SessionConfig>, run: { stop?: AbortController; load?: boolean }) =>
    withSession(open(tinyMlp, plugins, more), async (session) => {
      if (run.stop)
        session.telemetry.on('checkpoint', ({ step }) => step === 4 && run.stop!.abort());
      if (run.load) await session.load();
      await session.fit({ untilEpoch: EPOCHS, ...(run.stop && { signal: run.stop.signal }) });
      return valuesOf(session.parameters());
    });
  const whole = await train({}, {});
  const checkpoint = { store: memoryStore(), everySteps: 4 };
  const stopped = await train({ checkpoint }, { stop: new AbortController() });
  const resumed = await train({ checkpoint }, { load: true });
  expect(firstDifference(whole, stopped)).toBeDefined();
  expect(firstDifference(whole, resumed)).toBeUndefined();
});

test('teaches what it is told to', async () => {
  const names = new Set<string>();
  const look = onlooker((targets) => Object.keys(targets).forEach((name) => names.add(name)));
  const some = [exits, previousEpoch({ exits: 'auxiliary' }), look];
  await withSession(open(tinyMlp, some), (session) => session.fit({ epochs: 2 }));
  expect([...names]).toEqual(['exit_1']);
});

test('tells of a loop without epochs, in which nobody teaches', async () => {
  await withSession(open(tinyMlp, plugins), async (session) => {
    const warnings: string[] = [];
    session.telemetry.on('warning', ({ message }) => void warnings.push(message));
    const batch = { x: tf.ones([3, 6]), y: tf.tensor1d([0, 1, 2], 'int32') };
    await session.step(batch);
    await session.beginEpoch();
    await session.step(batch, { inEpoch: true });
    tf.dispose(batch);
    expect(warnings).toEqual([expect.stringMatching(/nobody teaches until.*in no epoch/)]);
  });
});

test('refuses exits that are not there in the first step, not in the second epoch', () =>
  withSession(
    open(tinyMlp, [exits, previousEpoch({ exits: ['exit_7'] }), exitDistillation()]),
    async (session) => {
      await expect(session.fit({ epochs: 1 })).rejects.toThrow(/'exit_7'.*previous-epoch\/exits/s);
    },
  ));
