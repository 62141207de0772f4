import { kernelRepairs } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, expect, test } from 'vitest';

// webgl is in a browser only, where its gradients are tested; here its repairs compose ops of cpu.
beforeAll(async () => void (await tf.setBackend('cpu')));

const unused: tf.KernelFunc = () => {
  throw new Error('not for this rank');
};
const repaired = (kernel: string) =>
  kernelRepairs
    .find(({ name, backends }) => name === kernel && backends.includes('webgl'))!
    .make(unused);

const paddings = [
  [0, 0],
  [1, 0],
  [0, 2],
  [1, 1],
  [0, 0],
];

test.each([
  ['pads', tf.PadV2, { paddings, constantValue: 7 }],
  ['reverses', tf.Reverse, { dims: [0, 2, 4] }],
])('five axes: %s as cpu does, and leaves no tensor', (_what, kernel, attrs) => {
  tf.tidy(() => {
    const x = tf.reshape(tf.range(0, 2 * 3 * 2 * 4 * 3), [2, 3, 2, 4, 3]);
    const named = attrs as unknown as tf.NamedAttrMap;
    const expected: tf.Tensor = tf.engine().runKernel(kernel, { x }, named);
    const before = tf.memory().numTensors;
    const params = { inputs: { x }, backend: tf.backend(), attrs: named };
    const actual = repaired(kernel)(params) as tf.Tensor;
    expect(tf.memory().numTensors).toBe(before + 1);
    expect(actual.shape).toEqual(expected.shape);
    expect(actual.dataSync()).toEqual(expected.dataSync());
  });
});
