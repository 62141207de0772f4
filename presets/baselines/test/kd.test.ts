import { resolvePreset } from '@espalier/core';
import { exitDistillation } from '@espalier/plugin-multi-exit';
import { teacher } from '@espalier/plugin-soft-targets';
import type { Teacher } from '@espalier/plugin-soft-targets';
import { kd } from '@espalier/preset-baselines';
import type { KdOptions } from '@espalier/preset-baselines';
import { firstDifference, onBackend, tinyMlp, withSession } from '@espalier/testkit';
import { beforeAll, expect, test } from 'vitest';
import { open, train } from './support.js';

beforeAll(() => onBackend('cpu'));

/** What a module of one's own would export. */
const load = (): Teacher => ({ model: () => Promise.resolve(tinyMlp()) });

test('resolves to a teacher and distillation, by data alone', async () => {
  const preset = JSON.parse(JSON.stringify(kd({ teacher: './teacher.js#load' })));
  const { plugins, bindings, manifest } = await resolvePreset(preset, {
    load: (specifier) =>
      specifier === './teacher.js' ? Promise.resolve({ load }) : import(specifier),
  });
  const options = Object.fromEntries(plugins.map((plugin) => [plugin.id, plugin.options]));
  expect(options).toMatchObject({
    teacher: { exits: 'all' },
    'exit-distillation': { alpha: 0.9, temperature: 4, hint: 0 },
  });
  expect(bindings.map(({ token }) => token)).toEqual(['teacher']);
  expect(manifest.portable).toBe(true);
});

test('tells what the caller set', async () => {
  const { manifest } = await resolvePreset(kd({ temperature: 2, alpha: undefined }));
  const { options, origins } = manifest.plugins['exit-distillation']!;
  expect(options).toMatchObject({ alpha: 0.9, temperature: 2, hint: 0 });
  expect(origins).toMatchObject({
    'options.alpha': 'preset kd',
    'options.temperature': 'preset kd with options',
  });
});

test.each([
  [{ temprature: 2 }, "preset 'kd': unknown option 'temprature'. Did you mean 'temperature'?"],
  [{ temperature: -1 }, "preset 'kd': option 'temperature'"],
  [{ teacher: 3 }, "preset 'kd': option 'teacher'"],
])('refuses %j under its own name', (options, message) => {
  expect(() => kd(options as KdOptions)).toThrow(message);
});

test('says so where nothing teaches', () =>
  expect(open({ model: tinyMlp, preset: kd() })).rejects.toThrow(
    /nothing in this run provides 'teacher'/,
  ));

test('says so where the teacher is still to come', () => {
  const teacher = () => Promise.resolve({ model: tinyMlp });
  return withSession(
    open({ model: tinyMlp, preset: kd({ teacher: teacher as never }) }),
    (session) =>
      expect(session.fit({ epochs: 1 })).rejects.toThrow(
        /'teacher' returned a promise.*services\/asynchronous/s,
      ),
  );
});

test('trains exactly as its plugins given in code, in any order', async () => {
  const preset = await train({ model: tinyMlp, preset: kd({ teacher: load }) }, 2);
  const plugins = [exitDistillation({ alpha: 0.9, temperature: 4 }), teacher({ model: tinyMlp })];
  const code = await train({ model: tinyMlp, plugins }, 2);
  expect([...preset.keys()].sort()).toEqual([
    'hidden/bias',
    'hidden/kernel',
    'logits/bias',
    'logits/kernel',
  ]);
  expect(firstDifference(preset, code)).toBeUndefined();
});
