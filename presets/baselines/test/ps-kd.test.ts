import { resolvePreset } from '@espalier/core';
import { exitDistillation } from '@espalier/plugin-multi-exit';
import { previousEpoch } from '@espalier/plugin-soft-targets';
import { psKd } from '@espalier/preset-baselines';
import type { PsKdOptions } from '@espalier/preset-baselines';
import { firstDifference, onBackend, tinyMlp } from '@espalier/testkit';
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
