import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const require = createRequire(import.meta.url);
const here = new URL('../..', import.meta.url);

function addonIsBuilt(): boolean {
  try {
    const manifest = require.resolve('@tensorflow/tfjs-node-gpu/package.json');
    return existsSync(path.join(path.dirname(manifest), 'lib/napi-v8/tfjs_binding.node'));
  } catch {
    return false;
  }
}

const present = addonIsBuilt();
if (!present) console.info('native.test.ts is skipped: run "npm run setup:native" to have it.');

function evaluate(body: string): unknown {
  const script = `import * as tf from '@tensorflow/tfjs-core';
    import { useBackend } from '@espalier/backend';\n${body}`;
  const flags = ['--input-type=module', '--eval', script];
  const done = spawnSync(process.execPath, flags, { cwd: here, encoding: 'utf8' });
  expect(done.stderr.replaceAll(/^(WARNING: All log|I0000).*\n/gm, '')).toBe('');
  return JSON.parse(done.stdout);
}

describe.runIf(present)('the native backend', () => {
  it('is the first choice, names its device, and lets the process end', () => {
    const body = `const { name, backend, device, skipped, line } = await useBackend();
      console.log(JSON.stringify({ name, backend, device, skipped, line }));`;
    expect(evaluate(body)).toEqual({
      name: 'tfjs-node-gpu',
      backend: 'tensorflow',
      device: expect.stringMatching(/^(CPU|GPU), TensorFlow 2\./),
      skipped: [],
      line: expect.stringMatching(/^backend tfjs-node-gpu \(@tensorflow\/tfjs-node-gpu 4\.22\.0, /),
    });
  });

  it('takes as many threads as it is told', () => {
    const body = `console.log((await useBackend({ prefer: 'tfjs-node-gpu', threads: 1 })).threads);`;
    expect(evaluate(body)).toBe(1);
  });

  it('has repaired gradients although loading it registers those of tfjs again', () => {
    const body = `const wasm = await useBackend({ prefer: 'wasm' });
      const native = await useBackend({ prefer: 'tfjs-node-gpu' });
      const second = tf.grad(tf.grad((x) => tf.sum(tf.tanh(x))))(tf.scalar(0.5));
      console.log(JSON.stringify(Array.from(await second.data())));`;
    // d²/dx² tanh(x) = -2 tanh(x) (1 - tanh²(x))
    const t = Math.tanh(0.5);
    const [value] = evaluate(body) as [number];
    expect(value).toBeCloseTo(-2 * t * (1 - t * t), 5);
  });
});
