import { resolvePreset } from '@espalier/core';
import type { LossContext, SoftTargets } from '@espalier/core';
import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { byot } from '@espalier/preset-baselines';
import type { ByotOptions } from '@espalier/preset-baselines';
import { firstDifference, onBackend, tinyCnn, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { open, train } from './support.js';

beforeAll(() => onBackend('cpu'));

const images = { model: tinyCnn, train: tinySource({ shape: [8, 8, 1], examples: 12 }) };

test('resolves to exits, teacher and distillation with the paper’s constants', async () => {
  const preset = JSON.parse(JSON.stringify(byot({ at: ['stage1_relu'] })));
  const { plugins } = await resolvePreset(preset);
  const options = Object.fromEntries(plugins.map((plugin) => [plugin.id, plugin.options]));
  expect(options).toMatchObject({
    'multi-exit': { at: ['stage1_relu'], branch: 'bottleneck' },
    'deepest-exit': { detach: true },
    'exit-distillation': { alpha: 0.1, temperature: 3, hint: 1e-4 },
  });
});

test('tells what the caller set from the paper’s constants', async () => {
  const { manifest } = await resolvePreset(byot({ temperature: 2, alpha: undefined }));
  const { options, origins } = manifest.plugins['exit-distillation']!;
  expect(options).toMatchObject({ alpha: 0.1, temperature: 2, hint: 1e-4 });
  expect(origins).toMatchObject({
    'options.alpha': 'preset byot',
    'options.temperature': 'preset byot with options',
  });
});

test.each([
  [{ temprature: 2 }, "preset 'byot': unknown option 'temprature'. Did you mean 'temperature'?"],
  [{ temperature: -1 }, "preset 'byot': option 'temperature'"],
  [{ weights: -1 }, "preset 'byot': option 'weights'"],
])('refuses %j under its own name', (options, message) => {
  expect(() => byot(options as ByotOptions)).toThrow(message);
});

test('trains exactly as its plugins given in code, in any order', async () => {
  const preset = await train({ ...images, preset: byot({ alpha: 0.3 }) }, 1);
  const plugins = [
    exitDistillation({ alpha: 0.3, hint: 1e-4 }),
    deepestExit(),
    multiExit({ branch: 'bottleneck' }),
  ];
  const code = await train({ ...images, plugins }, 1);
  expect(firstDifference(preset, code)).toBeUndefined();
});

/** Teaches the first exit alone that every class is as likely as the others. */
function uniformTeacher(): SoftTargets {
  return {
    name: 'uniform',
    logits: ({ outputs }: LossContext) => ({
      exit_1: tf.zerosLike(outputs['exit_1'] as tf.Tensor2D),
    }),
  };
}

test('takes another teacher by one line', async () => {
  const preset = {
    extends: byot(),
    plugins: { 'exit-distillation': { bind: { 'soft-targets': { use: uniformTeacher } } } },
  };
  await withSession(open({ ...images, preset }), async (session) => {
    const { history } = await session.fit({ epochs: 1 });
    const soft = Object.keys(history[0]!.metrics).filter((name) =>
      /^loss\/exit-distillation\/\w+$/.test(name),
    );
    expect(soft).toEqual(['loss/exit-distillation/exit_1']);
  });
});
