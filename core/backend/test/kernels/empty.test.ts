import { EspalierError } from '@espalier/base';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { onBackend } from './on-backend.js';

const image = (side: number, batch = 1) => tf.zeros<tf.Rank.R4>([batch, side, side, 2]);
const filter = (channels: number) => tf.ones<tf.Rank.R4>([3, 3, 2, channels]);

const windows: [string, (x: tf.Tensor4D) => tf.Tensor, channels: number][] = [
  ['conv2d', (x) => tf.conv2d(x, filter(4), 1, 'valid'), 4],
  ['conv2d, padded', (x) => tf.conv2d(x, tf.ones([5, 5, 2, 4]), 1, 1), 4],
  [
    'fused.conv2d',
    (x) => tf.fused.conv2d({ x, filter: filter(4), strides: 1, pad: 'valid' }) as tf.Tensor,
    4,
  ],
  ['depthwiseConv2d', (x) => tf.depthwiseConv2d(x, filter(1), 1, 'valid'), 2],
  ['maxPool', (x) => tf.maxPool(x, 3, 1, 'valid'), 2],
  ['avgPool', (x) => tf.avgPool(x, 3, 1, 'valid'), 2],
];

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  it.each(windows)(
    '%s of images one pixel too small gives no pixels',
    async (_, compute, channels) => {
      await onBackend(backend, () => {
        const result = compute(image(2));
        expect(result.shape).toEqual([1, 0, 0, channels]);
        expect(result.dataSync().length).toBe(0);
      });
    },
  );

  it.each(windows)('%s of no images gives no images', async (_, compute) => {
    await onBackend(backend, () => {
      const result = compute(image(5, 0));
      expect(result.shape[0]).toBe(0);
      expect(result.dataSync().length).toBe(0);
    });
  });

  it.each(windows)('%s of far too small images is refused', async (_, compute) => {
    await onBackend(backend, () => {
      expect(() => compute(image(1))).toThrow(EspalierError);
      expect(() => compute(image(1))).toThrow(/window is larger.*"input":\[1,1,1,2\]/);
    });
  });

  it('a sum over nothing is 0 and a mean is NaN', async () => {
    await onBackend(backend, () => {
      const none = tf.zeros([0, 3]);
      expect([...tf.sum(none, 0).dataSync()]).toEqual([0, 0, 0]);
      expect([...tf.mean(none, 0).dataSync()]).toEqual([NaN, NaN, NaN]);
      expect(tf.mean(tf.zeros([0, 2, 2, 3]), [1, 2], true).shape).toEqual([0, 1, 1, 3]);
    });
  });
});
