import { installTensorMethods, useBackend } from '@espalier/backend';
import type { BackendInfo } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layerTable } from './table.js';
import { notFinite, trainOnce } from './train-once.js';

/** Containers, and what a layer is made of. */
const others = ['InputLayer', 'Model', 'Functional', 'Sequential', 'StackedRNNCells'];

function layerClasses(): string[] {
  const { classNameMap } = tf.serialization.SerializationMap.getMap();
  return Object.entries(classNameMap)
    .filter(([, [made]]) => Object.create(made.prototype as object) instanceof tfl.layers.Layer)
    .map(([name]) => name)
    .filter((name) => !others.includes(name) && !name.endsWith('Cell'));
}

test('the table has every layer', () => {
  expect(layerTable.map(({ className }) => className).sort()).toEqual(layerClasses().sort());
});

describe.each(['wasm', 'cpu'] as const)('on %s', (prefer) => {
  let backend: BackendInfo;
  beforeAll(async () => {
    backend = await useBackend({ prefer });
    tf.engine().startScope();
  });
  afterAll(() => {
    tf.engine().endScope();
    backend.dispose();
  });

  test.each(layerTable)('$className trains', (one) => {
    const { trained, gradients, after } = trainOnce(one);
    expect(gradients.length).toBe(trained);
    expect(notFinite([...gradients, ...after])).toEqual([]);
  });

  // Documented in the README: should this fail, TensorFlow.js has learned it.
  test('CenterCrop lets no gradient through', () => {
    const crop = layerTable.find(({ className }) => className === 'CenterCrop')!;
    expect(() => trainOnce({ ...crop, atInput: false })).toThrow(/CropAndResize/);
  });

  test('an orthogonal kernel is orthogonal, and r2Score is 1 for the truth', () => {
    for (const shape of [
      [4, 4],
      [3, 5],
      [6, 2],
    ] as const) {
      const q = tfl.initializers.orthogonal({ seed: 3 }).apply([...shape]);
      const wide = shape[0] < shape[1];
      const product = tf.matMul(q, q, !wide, wide);
      const error = tf.max(tf.abs(tf.sub(product, tf.eye(Math.min(...shape)))));
      expect(error.dataSync()[0]).toBeLessThan(1e-5);
    }
    const truth = tf.tensor2d([[1], [2], [4]]);
    expect(tfl.metrics.r2Score(truth, truth).dataSync()[0]).toBe(1);
  });
});

describe('installTensorMethods', () => {
  const prototype = tf.Tensor.prototype as unknown as Record<string, unknown>;

  test('is shared, and taken out with the last user', () => {
    const first = installTensorMethods();
    const second = installTensorMethods();
    first();
    first();
    expect(prototype['flatten']).toBeTypeOf('function');
    second();
    expect(prototype['flatten']).toBeUndefined();
    expect(() => tf.tidy(() => tfl.initializers.orthogonal({}).apply([2, 2]))).toThrow(/flatten/);
  });

  test('leaves methods that others bring, before or after', () => {
    const theirs = () => 'theirs';
    prototype['square'] = theirs;
    const uninstall = installTensorMethods();
    prototype['sub'] = theirs;
    uninstall();
    expect([prototype['square'], prototype['sub'], prototype['sum']]).toEqual([
      theirs,
      theirs,
      undefined,
    ]);
    delete prototype['square'];
    delete prototype['sub'];
  });
});
