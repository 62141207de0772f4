import { gradientsInstalled, useBackend } from '@espalier/backend';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';

const backends = ['cpu', 'wasm'] as const;
const kernels = () =>
  new Map(
    backends
      .flatMap((backend) => tf.getKernelsForBackend(backend))
      .map((kernel) => [`${kernel.backendName}/${kernel.kernelName}`, kernel.kernelFunc]),
  );
const gradients = () =>
  new Map([...kernels().keys()].map((key) => [key, tf.getGradient(key.split('/')[1]!)]));
const tensorMethods = () => Object.getOwnPropertyNames(tf.Tensor.prototype);
const registries = () => ({
  kernels: kernels(),
  gradients: gradients(),
  methods: tensorMethods(),
});

/** Whether a convolution's filter can be trained: plain wasm has no kernel for it. */
function trainsConvolution(): boolean {
  try {
    tf.tidy(() => {
      const image = tf.ones<tf.Rank.R4>([1, 4, 4, 1]);
      const respond = (filter: tf.Tensor) =>
        tf.sum(tf.conv2d(image, filter as tf.Tensor4D, 1, 'same'));
      tf.grad(respond)(tf.ones([3, 3, 1, 1]));
    });
    return true;
  } catch {
    return false;
  }
}

describe('useBackend again', () => {
  it('changes nothing, and the last dispose takes everything out', async () => {
    const before = registries();
    const first = await useBackend({ prefer: 'wasm' });
    const during = registries();
    const second = await useBackend({ prefer: ['wasm'] });
    expect(during).not.toEqual(before);
    expect(registries()).toEqual(during);
    expect(second.line).toBe(first.line);

    first.dispose();
    first.dispose();
    expect(registries()).toEqual(during);
    expect(trainsConvolution()).toBe(true);

    second.dispose();
    expect(registries()).toEqual(before);
    expect(gradientsInstalled()).toBe(false);
    expect(trainsConvolution()).toBe(false);
  });

  it('moves the installation to another backend', async () => {
    const before = registries();
    const wasm = await useBackend({ prefer: 'wasm' });
    const cpu = await useBackend({ prefer: 'cpu' });
    expect(tf.getBackend()).toBe('cpu');
    const on = (backend: string, all: ReturnType<typeof kernels>) =>
      [...all].filter(([key]) => key.startsWith(`${backend}/`));
    expect(on('wasm', kernels())).toEqual(on('wasm', before.kernels));
    expect(gradientsInstalled()).toBe(true);
    wasm.dispose();
    expect(gradientsInstalled()).toBe(true);
    cpu.dispose();
    expect(registries()).toEqual(before);
  });

  it('serves calls made at the same time one after another', async () => {
    const before = registries();
    const infos = await Promise.all(backends.map((prefer) => useBackend({ prefer })));
    expect(infos.map(({ name }) => name)).toEqual(backends);
    expect(tf.getBackend()).toBe('wasm');
    for (const info of infos) info.dispose();
    expect(registries()).toEqual(before);
  });

  it('leaves no tensor', async () => {
    const before = tf.memory().numTensors;
    const info = await useBackend({ prefer: 'cpu' });
    info.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
