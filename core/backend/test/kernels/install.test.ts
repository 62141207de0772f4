import { installKernels, kernelRepairs } from '@espalier/backend';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';

const registry = (backend: string) =>
  new Map(tf.getKernelsForBackend(backend).map((config) => [config.kernelName, config]));

describe.each(['wasm', 'cpu'])('installKernels on %s', (backend) => {
  const own = kernelRepairs.filter(({ backends }) => backends.includes(backend));

  it('replaces what the table says, keeps the rest, and puts all back', () => {
    const before = registry(backend);
    const uninstall = installKernels(backend);
    const during = registry(backend);
    const changed = [...during].filter(([name, config]) => before.get(name) !== config);
    expect(new Set(changed.map(([name]) => name))).toEqual(new Set(own.map(({ name }) => name)));
    uninstall();
    expect(registry(backend)).toEqual(before);
    for (const [name, config] of registry(backend)) expect(config).toBe(before.get(name));
  });

  it('says truly what is missing and what is there', () => {
    for (const { name, kind } of own) {
      expect([name, registry(backend).has(name)]).toEqual([name, kind !== 'missing']);
    }
  });

  it('keeps the set-up of a kernel that it replaces', () => {
    const setUp = tf.getKernel(tf.BatchMatMul, backend).setupFunc;
    const uninstall = installKernels(backend);
    expect(tf.getKernel(tf.BatchMatMul, backend).setupFunc).toBe(setUp);
    uninstall();
  });

  it('changes nothing the second time, and ends with the last user', () => {
    const before = registry(backend);
    const first = installKernels(backend);
    const installed = registry(backend);
    const second = installKernels(backend);
    for (const [name, config] of registry(backend)) expect(config).toBe(installed.get(name));
    first();
    first();
    for (const [name, config] of registry(backend)) expect(config).toBe(installed.get(name));
    second();
    for (const [name, config] of registry(backend)) expect(config).toBe(before.get(name));
  });
});

describe('installKernels', () => {
  it('leaves a backend alone that needs nothing', () => {
    expect(() => installKernels('webgpu')()).not.toThrow();
    expect(tf.getKernelsForBackend('webgpu')).toEqual([]);
  });

  it('says what to import where the backend has no kernels', () => {
    const kernels = tf.getKernelsForBackend('cpu');
    for (const { kernelName } of kernels) tf.unregisterKernel(kernelName, 'cpu');
    try {
      expect(() => installKernels('cpu')).toThrow("Import '@tensorflow/tfjs-backend-cpu' first");
    } finally {
      kernels.forEach((config) => tf.registerKernel(config));
    }
  });
});
