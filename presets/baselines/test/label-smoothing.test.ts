import { resolvePreset } from '@espalier/core';
import { labelSmoothing as plugin } from '@espalier/plugin-label-smoothing';
import { byot, labelSmoothing } from '@espalier/preset-baselines';
import type { LabelSmoothingOptions } from '@espalier/preset-baselines';
import { firstDifference, onBackend, tinyNoisyMlp } from '@espalier/testkit';
import { beforeAll, expect, test } from 'vitest';
import { train } from './support.js';

beforeAll(() => onBackend('cpu'));

test('resolves to the one plugin with the paper’s constant, by data alone', async () => {
  const preset = JSON.parse(JSON.stringify(labelSmoothing()));
  const { plugins } = await resolvePreset(preset);
  expect(plugins.map(({ id, options }) => [id, options])).toEqual([
    ['label-smoothing', { epsilon: 0.1 }],
  ]);
});

test('tells what the caller set from the paper’s constant', async () => {
  const { manifest } = await resolvePreset(labelSmoothing({ epsilon: 0.2 }));
  const { options, origins } = manifest.plugins['label-smoothing']!;
  expect(options).toEqual({ epsilon: 0.2 });
  expect(origins).toMatchObject({ 'options.epsilon': 'preset label-smoothing with options' });
});

test('refuses an unknown option under its own name', () => {
  const misspelt = { epsilom: 0.2 } as LabelSmoothingOptions;
  expect(() => labelSmoothing(misspelt)).toThrow(
    "preset 'label-smoothing': unknown option 'epsilom'. Did you mean 'epsilon'?",
  );
});

test('trains exactly as the plugin given in code', async () => {
  const model = tinyNoisyMlp;
  const preset = await train({ model, preset: labelSmoothing({ epsilon: 0.3 }) }, 2);
  const code = await train({ model, plugins: [plugin({ epsilon: 0.3 })] }, 2);
  expect(firstDifference(preset, code)).toBeUndefined();
  expect(firstDifference(preset, await train({ model }, 2))).toBeDefined();
});

test('extends another method', async () => {
  const { plugins } = await resolvePreset({ extends: [byot(), labelSmoothing()], plugins: {} });
  expect(plugins.map(({ id }) => id).sort()).toEqual([
    'deepest-exit',
    'exit-distillation',
    'label-smoothing',
    'multi-exit',
  ]);
});
