import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { convCases, data, expectAsOnCpu, reference, values } from './harness.js';
import type { ConvCase } from './harness.js';

type Channels = readonly [batch: number, height: number, width: number, channels: number];

const poolShapes = (c: ConvCase) => {
  const filterSize: [number, number] = [c.filter[0], c.filter[1]];
  const { strides, pad } = c.attrs;
  const outShape: Channels = [c.output[0], c.output[1], c.output[2], c.input[3]];
  return { attrs: { filterSize, strides, pad }, outShape };
};

const runs = { numRuns: 150, seed: 7 };

// The reference search for a maximum needs each window to touch the image.
const poolCases = convCases().filter(({ attrs: { pad } }) => pad === 'same' || pad === 'valid');

describe.each(['wasm', 'cpu'] as const)('the gradients of pooling on %s', (backend) => {
  it('go to the first maximum, as on the cpu', async () => {
    await fc.assert(
      fc.asyncProperty(poolCases, (c) => {
        const { attrs, outShape } = poolShapes(c);
        // Few distinct values, so that maxima are often equal.
        const coarse = values(tf.util.sizeFromShape(c.input), c.seed).map((v) => Math.round(v * 2));
        const inputs = { dy: data(outShape, c.seed), input: { shape: c.input, values: coarse } };
        return expectAsOnCpu(backend, tf.MaxPoolGrad, inputs, attrs);
      }),
      runs,
    );
  });

  it('spread over the pixels of the window that are inside the image', async () => {
    await fc.assert(
      fc.asyncProperty(poolCases, (c) => {
        const { attrs, outShape } = poolShapes(c);
        const dy = data(outShape, c.seed);
        const counted = { shape: outShape, values: dy.values.map((v, i) => v * share(c, i)) };
        const input = { shape: c.input, values: values(tf.util.sizeFromShape(c.input), c.seed) };
        // The cpu's own kernel divides by the size of the filter throughout.
        const expected = reference(tf.AvgPoolGrad, { dy: counted, input }, attrs);
        return expectAsOnCpu(backend, tf.AvgPoolGrad, { dy, input }, attrs, expected);
      }),
      runs,
    );
  });
});

/** The size of the filter over the number of pixels that the window of output `index` really holds. */
function share(c: ConvCase, index: number): number {
  const channels = c.input[3];
  const column = Math.floor(index / channels) % c.output[2];
  const row = Math.floor(index / (channels * c.output[2])) % c.output[1];
  const info = tf.backend_util.computePool2DInfo(
    c.input,
    [c.filter[0], c.filter[1]],
    c.attrs.strides,
    1,
    c.attrs.pad,
  );
  const inside = (
    position: number,
    stride: number,
    before: number,
    filter: number,
    length: number,
  ) => {
    const start = position * stride - before;
    return Math.min(start + filter, length) - Math.max(start, 0);
  };
  const rows = inside(row, info.strideHeight, info.padInfo.top, info.filterHeight, info.inHeight);
  const columns = inside(
    column,
    info.strideWidth,
    info.padInfo.left,
    info.filterWidth,
    info.inWidth,
  );
  return (info.filterHeight * info.filterWidth) / (rows * columns);
}
