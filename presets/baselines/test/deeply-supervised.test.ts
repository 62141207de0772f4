import { resolvePreset } from '@espalier/core';
import { multiExit } from '@espalier/plugin-multi-exit';
import { deeplySupervised } from '@espalier/preset-baselines';
import type { DeeplySupervisedOptions } from '@espalier/preset-baselines';
import { firstDifference, onBackend, tinyNoisyMlp } from '@espalier/testkit';
import { beforeAll, expect, test } from 'vitest';
import { train } from './support.js';

beforeAll(() => onBackend('cpu'));

test('resolves to the one plugin, by data alone', async () => {
  const preset = JSON.parse(JSON.stringify(deeplySupervised({ weights: 0.3 })));
  const { plugins, manifest } = await resolvePreset(preset);
  expect(plugins.map(({ id }) => id)).toEqual(['multi-exit']);
  expect(plugins[0]!.options).toMatchObject({ weights: 0.3, branch: 'linear', detach: false });
  expect(manifest.plugins['multi-exit']!.use).toBe('@espalier/plugin-multi-exit#multiExit');
});

test('refuses an unknown option under its own name', () => {
  const misspelt = { weigths: 0.3 } as DeeplySupervisedOptions;
  expect(() => deeplySupervised(misspelt)).toThrow(
    "preset 'deeply-supervised': unknown option 'weigths'. Did you mean 'weights'?",
  );
});

test('trains exactly as the plugin given in code', async () => {
  const model = tinyNoisyMlp;
  const preset = await train({ model, preset: deeplySupervised({ weights: 0.5 }) }, 2);
  const code = await train({ model, plugins: [multiExit({ weights: 0.5 })] }, 2);
  expect([...preset.keys()]).toContain('exit_1/kernel');
  expect(firstDifference(preset, code)).toBeUndefined();
});

test('can be extended by name, with options and an override', async () => {
  const { plugins } = await resolvePreset({
    extends: {
      use: '@espalier/preset-baselines#deeplySupervised',
      options: { weights: 2 },
    },
    plugins: { 'multi-exit': { options: { detach: true } } },
  });
  expect(plugins[0]!.options).toMatchObject({ weights: 2, detach: true });
});
