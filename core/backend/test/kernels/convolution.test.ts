import { installKernels } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convCases, data, expectAsOnCpu, expectClose, reference, spelt } from './harness.js';
import type { ConvCase, Inputs } from './harness.js';

const runs = { numRuns: 150, seed: 7 };

/** Tfjs's own kernel is right if the padding is spelt out. */
function expectGradient(
  backend: 'wasm' | 'cpu',
  [kernel, inputs, attrs]: readonly [string, Inputs, { readonly pad: ConvCase['attrs']['pad'] }],
): Promise<void> {
  const expected = reference(kernel, inputs, { ...attrs, pad: spelt(attrs.pad) });
  return expectAsOnCpu(backend, kernel, inputs, attrs, expected);
}

const filterGradient = (c: ConvCase) =>
  [
    tf.Conv2DBackpropFilter,
    { x: data(c.input, c.seed), dy: data(c.output, c.seed + 1) },
    { ...c.attrs, filterShape: c.filter },
  ] as const;

const inputGradient = (c: ConvCase) =>
  [
    tf.Conv2DBackpropInput,
    { dy: data(c.output, c.seed), filter: data(c.filter, c.seed + 1) },
    { ...c.attrs, inputShape: c.input },
  ] as const;

describe('the gradients of conv2d', () => {
  it.each(['wasm', 'cpu'] as const)('give the filter gradient on %s', async (backend) => {
    await fc.assert(
      fc.asyncProperty(convCases(), (c) => expectGradient(backend, filterGradient(c))),
      runs,
    );
  });

  it('give the input gradient on wasm', async () => {
    await fc.assert(
      fc.asyncProperty(convCases(), (c) => expectGradient('wasm', inputGradient(c))),
      runs,
    );
  });

  it('split an unfolded input that is too large into groups of taps', async () => {
    const large: ConvCase = {
      input: [8, 64, 64, 16],
      filter: [3, 3, 16, 1],
      output: [8, 64, 64, 1],
      attrs: { strides: [1, 1], pad: 'same', dilations: [1, 1], dataFormat: 'NHWC' },
      seed: 3,
    };
    await expectGradient('wasm', filterGradient(large));
  });

  it('accept channels first', async () => {
    const attrs = {
      strides: [2, 1],
      pad: [
        [0, 0],
        [0, 0],
        [2, 1],
        [0, 1],
      ],
      dataFormat: 'NCHW',
    };
    const x = data([2, 3, 6, 5], 1);
    const filter = data([3, 2, 3, 4], 2);
    const dy = data([2, 4, 4, 5], 3);
    const filterArguments = [
      tf.Conv2DBackpropFilter,
      { x, dy },
      { ...attrs, filterShape: filter.shape },
    ] as const;
    await expectAsOnCpu('wasm', ...filterArguments);
    await expectAsOnCpu('cpu', ...filterArguments);
    await expectAsOnCpu(
      'wasm',
      tf.Conv2DBackpropInput,
      { dy, filter },
      { ...attrs, inputShape: x.shape },
    );
  });

  it.each(['wasm', 'cpu'] as const)('are zero for an empty batch on %s', async (backend) => {
    await tf.setBackend(backend);
    const uninstall = installKernels(backend);
    const x = tf.zeros<tf.Rank.R4>([0, 5, 5, 2]);
    const filter = tf.ones<tf.Rank.R4>([3, 3, 2, 1]);
    const dy = tf.zeros([0, 3, 3, 1]);
    const attrs = { strides: 1, pad: 'valid', dataFormat: 'NHWC' };
    const dw = tf
      .engine()
      .runKernel(tf.Conv2DBackpropFilter, { x, dy }, { ...attrs, filterShape: filter.shape });
    const dx = tf
      .engine()
      .runKernel(tf.Conv2DBackpropInput, { dy, filter }, { ...attrs, inputShape: x.shape });
    expect((dx as tf.Tensor).shape).toEqual(x.shape);
    expect(await (dw as tf.Tensor).data()).toEqual(new Float32Array(18));
    tf.dispose([x, filter, dy, dw as tf.Tensor, dx as tf.Tensor]);
    uninstall();
  });
});

describe('the gradients of depthwiseConv2d', () => {
  const outputs = (c: ConvCase) => data(c.output, c.seed + 2);

  const depthwiseFilterGradient = (c: ConvCase) =>
    [
      tf.DepthwiseConv2dNativeBackpropFilter,
      { x: data(c.input, c.seed), dy: outputs(c) },
      { ...c.attrs, filterShape: c.filter },
    ] as const;

  const depthwiseInputGradient = (c: ConvCase) =>
    [
      tf.DepthwiseConv2dNativeBackpropInput,
      { dy: outputs(c), filter: data(c.filter, c.seed) },
      { ...c.attrs, inputShape: c.input },
    ] as const;

  it.each(['wasm', 'cpu'] as const)('give the filter gradient on %s', async (backend) => {
    await fc.assert(
      fc.asyncProperty(convCases({ depthwise: true }), (c) =>
        expectGradient(backend, depthwiseFilterGradient(c)),
      ),
      runs,
    );
  });

  it('give the input gradient on wasm', async () => {
    await fc.assert(
      fc.asyncProperty(convCases({ depthwise: true }), (c) =>
        expectGradient('wasm', depthwiseInputGradient(c)),
      ),
      runs,
    );
  });

  it('know dilations: the input gradient is that of the filter with zeros in it', async () => {
    await fc.assert(
      fc.asyncProperty(convCases({ depthwise: true, dilated: true }), async (c) => {
        const filter = data(c.filter, c.seed);
        const large = spread(c.filter, filter.values as Float32Array, c.attrs.dilations);
        const plain = {
          ...c.attrs,
          pad: spelt(c.attrs.pad),
          dilations: [1, 1],
          inputShape: c.input,
        };
        const kernel = tf.DepthwiseConv2dNativeBackpropInput;
        const dy = outputs(c);
        const expected = reference(kernel, { dy, filter: large }, plain);
        const attrs = { ...c.attrs, inputShape: c.input };
        await expectAsOnCpu('wasm', kernel, { dy, filter }, attrs, expected);
      }),
      { ...runs, numRuns: 60 },
    );
  });

  it.each(['wasm', 'cpu'] as const)(
    'know dilations: the filter gradient is adjoint to it on %s',
    async (backend) => {
      // <dw, f> = <dx, x>, since both are <dy, conv(x, f)>.
      await fc.assert(
        fc.asyncProperty(convCases({ depthwise: true, dilated: true }), async (c) => {
          await tf.setBackend('cpu');
          const x = tf.tensor(data(c.input, c.seed).values, c.input) as tf.Tensor4D;
          const filter = tf.tensor(data(c.filter, c.seed + 1).values, c.filter) as tf.Tensor4D;
          const y = tf.depthwiseConv2d(
            x,
            filter,
            c.attrs.strides,
            spelt(c.attrs.pad),
            'NHWC',
            c.attrs.dilations,
          );
          const dy = tf.tensor(outputs(c).values, y.shape);
          const expected = tf.sum(tf.mul(y, dy));
          await tf.setBackend(backend);
          const uninstall = installKernels(backend);
          const attrs = { ...c.attrs, filterShape: c.filter };
          const dw = tf
            .engine()
            .runKernel(tf.DepthwiseConv2dNativeBackpropFilter, { x, dy }, attrs) as tf.Tensor;
          const actual = tf.sum(tf.mul(dw, filter));
          const toResult = async (t: tf.Tensor) => ({
            shape: t.shape,
            values: (await t.data()) as Float32Array,
          });
          expectClose(await toResult(actual), await toResult(expected));
          tf.dispose([x, filter, y, dy, expected, dw, actual]);
          uninstall();
        }),
        { ...runs, numRuns: 60 },
      );
    },
  );
});

/** The filter with `dilation - 1` zeros between its taps. */
function spread(
  [height, width, channels, multiplier]: ConvCase['filter'],
  values: Float32Array,
  [down, across]: readonly [number, number],
) {
  const wide = (width - 1) * across + 1;
  const shape = [(height - 1) * down + 1, wide, channels, multiplier];
  const depth = channels * multiplier;
  const large = new Float32Array(shape[0]! * wide * depth);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const tap = values.subarray(
        (row * width + column) * depth,
        (row * width + column + 1) * depth,
      );
      large.set(tap, (row * down * wide + column * across) * depth);
    }
  }
  return { shape, values: large };
}
