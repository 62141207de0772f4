import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { convCases, data, expectAsOnCpu, reference, spelt } from './harness.js';
import type { ConvCase, Inputs } from './harness.js';

const runs = { numRuns: 120, seed: 7 };

describe.each(['wasm', 'cpu'] as const)('padding on %s', (backend) => {
  const check = (kernel: string, c: ConvCase, inputs: Inputs, attrs: object) => {
    const expected = reference(kernel, inputs, { ...attrs, pad: spelt(c.attrs.pad) });
    return expectAsOnCpu(backend, kernel, inputs, attrs, expected);
  };

  it.each([
    [tf.Conv2D, false],
    [tf.FusedConv2D, false],
    [tf.DepthwiseConv2dNative, true],
    [tf.FusedDepthwiseConv2D, true],
  ])('is right in %s', async (kernel, depthwise) => {
    await fc.assert(
      fc.asyncProperty(convCases({ depthwise }), (c) => {
        const inputs = { x: data(c.input, c.seed), filter: data(c.filter, c.seed + 1) };
        return check(kernel, c, inputs, { ...c.attrs, activation: 'relu' });
      }),
      runs,
    );
  });

  it.each([tf.MaxPool, tf.AvgPool])('is right in %s', async (kernel) => {
    // No window may lie in the padding alone: there is nothing to take the maximum of.
    const cases = convCases().filter(({ attrs: { pad }, filter: [height, width] }) =>
      typeof pad === 'number' ? pad < Math.min(height, width) : typeof pad === 'string',
    );
    await fc.assert(
      fc.asyncProperty(cases, (c) => {
        const attrs = {
          filterSize: [c.filter[0], c.filter[1]],
          strides: c.attrs.strides,
          pad: c.attrs.pad,
        };
        return check(kernel, c, { x: data(c.input, c.seed) }, attrs);
      }),
      runs,
    );
  });

  it.each([
    [tf.Conv2DBackpropInput, false],
    [tf.DepthwiseConv2dNativeBackpropInput, true],
  ])('is right in %s', async (kernel, depthwise) => {
    await fc.assert(
      fc.asyncProperty(convCases({ depthwise }), (c) => {
        const inputs = { dy: data(c.output, c.seed), filter: data(c.filter, c.seed + 1) };
        return check(kernel, c, inputs, { ...c.attrs, inputShape: c.input });
      }),
      runs,
    );
  });
});
