import { createStorage } from '@espalier/compression';
import type { StorageConfig } from '@espalier/compression';
import { extractGraph } from '@espalier/core';
import { fakeQuantize, quantize, quantizeWithSteps } from '@espalier/plugin-quantizer';
import type { FakeConfig } from '@espalier/plugin-quantizer';
import { agreement, backendsUnderTest, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { gaussianMatrix } from './gaussian.js';
import { imageModel, wordModel } from './models.js';
import { dataOf, open } from './support.js';

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('value and gradients are those of the definition, number by number', () => {
    const [x, step] = [
      gaussianMatrix(5, 7, 1).data.map((value) => 2 * value),
      [0.3, 1, 0.05, 2, 0.7],
    ];
    const dy = gaussianMatrix(5, 7, 2).data;
    const [low, high, scale] = [-4, 3, 0.25];
    const slow = { value: new Array<number>(35), dx: new Array<number>(35), ds: step.map(() => 0) };
    x.forEach((number, i) => {
      const row = Math.floor(i / 7);
      const v = number / step[row]!;
      const nearest = Math.min(Math.max(Math.round(v), low), high);
      const inside = v > low && v < high;
      slow.value[i] = nearest * step[row]!;
      slow.dx[i] = inside ? dy[i]! : 0;
      slow.ds[row]! += scale * dy[i]! * (inside ? nearest - v : nearest);
    });
    tf.tidy(() => {
      const [xs, steps] = [tf.tensor2d(x, [5, 7]), tf.tensor2d(step, [5, 1])];
      const value = fakeQuantize(xs, steps, 3, scale);
      const op = (a: Tensor, s: Tensor) => fakeQuantize(a, s, 3, scale);
      const [dx, ds] = tf.grads(op)([xs, steps], tf.tensor2d(dy, [5, 7]));
      expect(agreement([value.dataSync()], [slow.value]).relativeError).toBeLessThan(1e-6);
      expect(agreement([dx!.dataSync()], [slow.dx]).relativeError).toBe(0);
      expect(ds!.shape).toEqual([5, 1]);
      expect(agreement([ds!.dataSync()], [slow.ds]).relativeError).toBeLessThan(1e-5);
    });
  });

  test.each<[string, FakeConfig['granularity'], number]>([
    ['tensor', 'tensor', 1],
    ['row', 'row', 6],
    ['column', 'column', 7],
    ['groups, the last one shorter', { group: 3 }, 18],
  ])('in training as in codes, per %s', (_, granularity, groups) => {
    const matrix = gaussianMatrix(6, 7, 3);
    const steps = Float32Array.from({ length: groups }, (_, i) => 0.2 + 0.05 * i);
    const fake = { kind: 'fake-uniform', bits: 4, granularity, step: 'learned' } as const;
    const coded = quantizeWithSteps(matrix, fake, steps);
    tf.tidy(() => {
      const tensors = new Map<string, Tensor>([
        ['m', tf.tensor2d(matrix.data, [6, 7])],
        ['m_step', tf.tensor1d(steps)],
        ...Object.entries(coded.weights).map(
          ([part, data]) => [`m_${part}`, tf.tensor1d(data)] as [string, Tensor],
        ),
      ]);
      const read = (name: string) => tensors.get(name)!;
      const [before, after] = [fake, coded.config].map((config: StorageConfig) =>
        createStorage('m', [6, 7], config),
      );
      const ids = tf.tensor1d([5, 0, 5], 'int32');
      const bits = (tensor: Tensor) => tf.add(tensor, 0).dataSync();
      expect(bits(before!.slice(read, 1, 4))).toEqual(bits(after!.slice(read, 1, 4)));
      expect(bits(before!.gather(read, ids))).toEqual(bits(after!.gather(read, ids)));
    });
  });

  test('a step gets the gradient of its own rows, scaled by its numbers', () => {
    const matrix = gaussianMatrix(4, 6, 4);
    const { weights } = quantize(matrix, { bits: 2, granularity: 'row' });
    const config = { kind: 'fake-uniform', bits: 2, granularity: 'row', step: 'learned' } as const;
    const storage = createStorage('m', [4, 6], config);
    const gradient = tf.tidy(() => {
      const whole = tf.tensor2d(matrix.data, [4, 6]);
      const look = (steps: Tensor) => {
        const read = (name: string) => (name === 'm' ? whole : steps);
        return tf.sum(storage.gather(read, tf.tensor1d([2, 2], 'int32')));
      };
      return tf.grad(look)(tf.tensor1d(weights.scale!)).dataSync();
    });
    const step = weights.scale![2]!;
    let slow = 0;
    for (const number of matrix.data.subarray(12, 18)) {
      const v = number / step;
      slow += v > -2 && v < 1 ? Math.round(v) - v : Math.min(Math.max(Math.round(v), -2), 1);
    }
    expect([gradient[0], gradient[1], gradient[3]].map(Math.abs as never)).toEqual([0, 0, 0]);
    expect(gradient[2]).toBeCloseTo((2 * slow) / Math.sqrt(6 * 1), 4);
  });

  test.each([
    ['words', wordModel, 'lsq' as const],
    ['images', imageModel, 'ste' as const],
  ])('%s: train, transform, train, transform', (_, model, qat) =>
    withSession(open(model, { bits: 3, qat }), async (session) => {
      const step = Object.keys(extractGraph(session.model).weights)[0]!;
      await session.fit({ epochs: 1 });
      await session.transform();
      const started = session.parameters()[`${step}_step`]!.dataSync().slice();
      const before = session.parameters()[step]!.dataSync().slice();
      await session.fit({ untilEpoch: 2 });
      expect(session.parameters()[step]!.dataSync()).not.toEqual(before);
      const learned = session.parameters()[`${step}_step`]!.dataSync();
      if (qat === 'lsq') expect(learned).not.toEqual(started);
      else expect(learned).toEqual(started);
      const loss = await session.evaluate(dataOf(model));
      await session.transform();
      expect(await session.evaluate(dataOf(model))).toEqual(loss);
      expect(session.parameters()[`${step}_codes`]!.dtype).toBe('int32');
      expect(session.parameters()[step]).toBeUndefined();
      await session.fit({ untilEpoch: 4 });
    }),
  );
});
