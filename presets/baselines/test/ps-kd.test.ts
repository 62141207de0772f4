import { arraySource, createSession, crossEntropy, resolvePreset, sgd } from '@espalier/core';
import { exitDistillation } from '@espalier/plugin-multi-exit';
import { previousEpoch } from '@espalier/plugin-soft-targets';
import { psKd } from '@espalier/preset-baselines';
import type { PsKdOptions } from '@espalier/preset-baselines';
import { firstDifference, onBackend, tinyData, tinyMlp, withSession } from '@espalier/testkit';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { train } from './support.js';

beforeAll(() => onBackend('cpu'));

const alpha = { kind: 'linear', from: 0.2, to: 0.8, epochs: 3 } as const;

test('resolves to an earlier self and a share that grows to the paper’s 0.8', async () => {
  const preset = JSON.parse(JSON.stringify(psKd({ epochs: 4 })));
  const { plugins } = await resolvePreset(preset);
  expect(plugins.map(({ id }) => id).sort()).toEqual(['exit-distillation', 'previous-epoch']);
  const { options } = plugins.find(({ id }) => id === 'exit-distillation')!;
  expect(options).toMatchObject({ alpha, temperature: 1, keepLabels: false });
});

test('trains exactly as its plugins given in code', async () => {
  const preset = await train({ model: tinyMlp, preset: psKd({ epochs: 4 }) }, 2);
  const plugins = [exitDistillation({ alpha, temperature: 1 }), previousEpoch()];
  const code = await train({ model: tinyMlp, plugins }, 2);
  expect(firstDifference(preset, code)).toBeUndefined();
});

const linear = () =>
  sequential({ layers: [layers.dense({ name: 'logits', units: 3, inputShape: [6] })] });
const STEPS_OF_SIX = 2;

/** Six inputs and three classes; the last row is the bias. */
type Matrix = readonly (readonly number[])[];

function predict(weights: Matrix, x: readonly number[]): number[] {
  const logits = [0, 1, 2].map((k) => [...x, 1].reduce((z, xi, i) => z + xi * weights[i]![k]!, 0));
  const powers = logits.map(Math.exp);
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

test('is cross-entropy with labels that the previous epoch’s network softens, in float64', async () => {
  const [epochs, rate] = [5, 0.5];
  const { x, y } = tinyData({ examples: 12 });
  const rows = Array.from(y.data, (_, i) => [...x.data].slice(6 * i, 6 * i + 6));
  const train = arraySource({ x, y, batchSize: 6, shuffle: false });
  const config = { model: linear, loss: crossEntropy(), optimizer: sgd({ learningRate: rate }) };
  await withSession(
    createSession({ ...config, train, preset: psKd({ epochs }) }),
    async (session) => {
      const read = () => {
        const flat = ['kernel', 'bias'].flatMap((w) => [
          ...session.parameters()[`logits/${w}`]!.dataSync(),
        ]);
        return Array.from({ length: 7 }, (_, i) => flat.slice(3 * i, 3 * i + 3));
      };
      let [weights, earlier]: Matrix[] = [read()];
      const softenedAt = (share: number, i: number) => {
        const hard = [0, 1, 2].map((k) => Number(k === y.data[i]));
        const q = earlier ? predict(earlier, rows[i]!) : hard;
        return hard.map((each, k) => (1 - share) * each + share * q[k]!);
      };
      for (let t = 1; t <= epochs; t++) {
        for (let step = 0; step < STEPS_OF_SIX; step++) {
          const errors = rows.slice(6 * step, 6 * step + 6).map((row, j) => {
            const target = softenedAt((0.8 * t) / epochs, 6 * step + j);
            return { row, error: predict(weights!, row).map((p, k) => p - target[k]!) };
          });
          weights = weights!.map((line, i) =>
            line.map((w, k) => {
              const terms = errors.map(({ row, error }) => [...row, 1][i]! * error[k]!);
              return w - (rate * terms.reduce((a, b) => a + b)) / 6;
            }),
          );
        }
        earlier = weights;
      }
      await session.fit({ epochs });
      read().forEach((line, i) =>
        line.forEach((w, k) => expect(w).toBeCloseTo(weights![i]![k]!, 5)),
      );
    },
  );
});

test.each([
  [{}, "option 'epochs'"],
  [{ epochs: 1 }, "option 'epochs'"],
  [{ epochs: 9, alpha: 2 }, "option 'alpha'"],
  [{ epochs: 9, alfa: 0.5 }, "unknown option 'alfa'. Did you mean 'alpha'?"],
])('refuses %j under its own name', (options, message) => {
  const make = () => psKd(options as PsKdOptions);
  expect(make).toThrow("preset 'ps-kd'");
  expect(make).toThrow(message);
});
