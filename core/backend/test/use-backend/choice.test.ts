import { describe, expect, it } from 'vitest';
import { evaluate, makeProject, runModule } from './project.js';

interface Told {
  name: string;
  backend: string;
  skipped: { name: string; reason: string; install: string }[];
  line: string;
}
const print = (options = '{}') => `console.log(JSON.stringify(await useBackend(${options})));`;
const throwing = (message: string) => `throw new Error(${JSON.stringify(message)});`;

describe('the choice in a project', () => {
  it('is wasm where nothing else is installed, with a way to each of the others', () => {
    const told = evaluate<Told>(makeProject(), print());
    expect(told).toMatchObject({ name: 'wasm', backend: 'wasm', simd: true, threads: 1 });
    expect(told.line).toBe(
      'backend wasm (@tensorflow/tfjs-backend-wasm 4.22.0, SIMD, 1 thread); passed over ' +
        'tfjs-node-gpu: not installed (npx espalier-setup-native); ' +
        'tfjs-node: not installed (npm install @tensorflow/tfjs-node); ' +
        'webgpu: not installed (npm install webgpu @tensorflow/tfjs-backend-webgpu)',
    );
  });

  it('follows the order of prefer', () => {
    const told = evaluate<Told>(makeProject(), print(`{ prefer: ['webgpu', 'cpu', 'wasm'] }`));
    expect(told.name).toBe('cpu');
    expect(told.skipped).toEqual([
      {
        name: 'webgpu',
        reason: 'not installed',
        install: 'npm install webgpu @tensorflow/tfjs-backend-webgpu',
      },
    ]);
  });

  it('fails where none that is preferred is available, and says why', () => {
    const { status, stderr } = runModule(makeProject(), print(`{ prefer: 'tfjs-node' }`));
    expect(status).toBe(1);
    expect(stderr).toContain(
      'none of the backends is available; tfjs-node: not installed (npm install @tensorflow/tfjs-node).',
    );
  });

  it('passes over a native package without its addon', () => {
    const message = 'The Node.js native addon module (tfjs_binding.node) can not be found at path';
    const folder = makeProject({
      '@tensorflow/tfjs-node-gpu': { 'index.js': throwing(message) },
      '@tensorflow/tfjs-node': { 'index.js': throwing('libtensorflow.so.2: no such file\nmore') },
    });
    const { name, skipped } = evaluate<Told>(folder, print());
    expect(name).toBe('wasm');
    expect(skipped.slice(0, 2)).toEqual([
      {
        name: 'tfjs-node-gpu',
        reason: 'installed, but its native addon is not built',
        install: 'npx espalier-setup-native',
      },
      {
        name: 'tfjs-node',
        reason: 'installed, but it does not load: libtensorflow.so.2: no such file',
        install: 'npm install @tensorflow/tfjs-node',
      },
    ]);
  });

  it('passes over a package that brings a second copy of tfjs-core', () => {
    const folder = makeProject({
      '@tensorflow/tfjs-node': {
        'index.js': throwing('must not be loaded'),
        'node_modules/@tensorflow/tfjs-core/index.js': '',
      },
    });
    const second = evaluate<Told>(folder, print()).skipped[1]!;
    expect(second.reason).toMatch(
      /^it brings a second copy of @tensorflow\/tfjs-core, .*tfjs-node\/node_modules\/.* beside /,
    );
    expect(second.install).toContain('npm dedupe');
  });

  it('passes over webgpu without an adapter, and puts no globals there', () => {
    const folder = makeProject({
      webgpu: {
        'index.js': `exports.globals = { GPUDevice: 1 };
          exports.create = () => ({ requestAdapter: async () => null });`,
      },
      '@tensorflow/tfjs-backend-webgpu': { 'index.js': throwing('must not be loaded') },
    });
    const body = `const { skipped } = await useBackend();
      console.log(JSON.stringify({ ...skipped[2], left: typeof GPUDevice }));`;
    expect(evaluate(folder, body)).toEqual({
      name: 'webgpu',
      reason: 'installed, but no graphics adapter was found',
      install: 'install a Vulkan driver',
      left: 'undefined',
    });
  });

  it('refuses a program that has loaded two copies of tfjs-core', () => {
    const folder = makeProject({
      other: {
        'node_modules/@tensorflow/tfjs-core/dist/tf-core.node.js': '',
        'index.js': `require('@tensorflow/tfjs-core/dist/tf-core.node.js');`,
      },
    });
    const { status, stderr } = runModule(folder, `await import('other');\n${print()}`);
    expect(status).toBe(1);
    expect(stderr).toContain('two copies of @tensorflow/tfjs-core are loaded');
    expect(stderr).toContain('npm ls @tensorflow/tfjs-core');
  });

  it('refuses an engine that another copy made', () => {
    const body = `class Foreign extends tf.Tensor {}
      const { makeTensor } = tf.engine();
      tf.engine().makeTensor = function (...args) {
        return Object.setPrototypeOf(makeTensor.apply(this, args), Foreign.prototype);
      };
      ${print()}`;
    const { status, stderr } = runModule(makeProject(), body);
    expect(status).toBe(1);
    expect(stderr).toContain('two copies of @tensorflow/tfjs-core are loaded');
  });
});
