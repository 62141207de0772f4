import { installGradients } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activate, testBackends } from './backends.js';
import { example, problemOf } from './cases.js';
import type { Case } from './cases.js';
import { expectGradient, expectHessian } from './checks.js';

const dim = fc.integer({ min: 1, max: 3 });
const pad = fc.constantFrom('valid' as const, 'same' as const);

/** Two shapes that broadcast: of each axis both have it, or one of them has 1. */
const broadcastable = fc
  .array(fc.tuple(dim, fc.constantFrom('both', 'left', 'right')), { minLength: 1, maxLength: 3 })
  .chain((axes) =>
    fc.tuple(fc.constant(axes), fc.nat(axes.length), fc.boolean()).map(([all, drop, swap]) => {
      const a = all.map(([n, who]) => (who === 'right' ? 1 : n));
      const b = all.map(([n, who]) => (who === 'left' ? 1 : n)).slice(drop);
      return swap ? [b, a] : [a, b];
    }),
  );

const binaryOps = [tf.maximum, tf.minimum, tf.squaredDifference, tf.mul, tf.atan2];
const binary = fc.tuple(fc.constantFrom(...binaryOps), broadcastable).map(([op, [a, b]]) => {
  // Far from each other, now above and now below, so that no step crosses a tie.
  const fn = (x: tf.Tensor, y: tf.Tensor) => op(tf.add(x, alternating(x.shape)), y);
  return example(op.name, fn, [
    { shape: a!, low: -1, high: 1 },
    { shape: b!, low: 0.2, high: 1 },
  ]);
});

function alternating(shape: number[]): tf.Tensor {
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Array.from({ length: size }, (_, i) => (i % 2 ? 3 : -3)),
    shape,
  );
}

const batchMatMul = fc
  .record({
    batch: fc.array(dim, { maxLength: 2 }),
    m: dim,
    k: dim,
    n: dim,
    one: fc.boolean(),
    tA: fc.boolean(),
    tB: fc.boolean(),
    swap: fc.boolean(),
  })
  .map(({ batch, m, k, n, one, tA, tB, swap }) => {
    const small = one ? batch.map(() => 1) : [];
    const a = [...(swap ? small : batch), ...(tA ? [k, m] : [m, k])];
    const b = [...(swap ? batch : small), ...(tB ? [n, k] : [k, n])];
    return example('matMul', (x: tf.Tensor, y: tf.Tensor) => tf.matMul(x, y, tA, tB), [a, b]);
  });

const side = fc.integer({ min: 3, max: 6 });
const convolution = fc
  .record({
    height: side,
    width: side,
    kh: dim,
    kw: dim,
    channels: dim,
    step: dim,
    dilate: fc.boolean(),
    pad,
    depthwise: fc.boolean(),
  })
  .filter(({ height, width, kh, kw, step, dilate, pad: p }) => {
    const reach = (k: number) => (k - 1) * (dilate ? step : 1) + 1;
    return p === 'same' || (reach(kh) <= height && reach(kw) <= width);
  })
  .map(({ height, width, kh, kw, channels, step, dilate, pad: p, depthwise }) => {
    const [strides, dilations] = dilate ? [1, step] : [step, 1];
    const op = depthwise ? tf.depthwiseConv2d : tf.conv2d;
    const fn = (x: tf.Tensor, f: tf.Tensor) =>
      op(x as tf.Tensor4D, f as tf.Tensor4D, strides!, p, 'NHWC', dilations!);
    return example(`${op.name} by ${strides}, ${p}, dilation ${dilations}`, fn, [
      [1, height, width, channels],
      [kh, kw, channels, 2],
    ]);
  });

const pooling = fc
  .record({ height: side, width: side, filter: dim, stride: dim, pad, max: fc.boolean() })
  .map(({ height, width, filter, stride, pad: p, max }) => {
    const op = max ? tf.maxPool : tf.avgPool;
    const fn = (x: tf.Tensor) => op(x as tf.Tensor4D, filter, stride, p);
    return example('pooling', fn, [[1, height, width, 1]]);
  });

const shape = fc.array(fc.integer({ min: 2, max: 3 }), { minLength: 1, maxLength: 3 });

const scan = shape
  .chain((dims) =>
    fc.tuple(fc.constant(dims), fc.nat(dims.length - 1), fc.boolean(), fc.boolean(), fc.boolean()),
  )
  .map(([dims, axis, exclusive, reverse, product]) => {
    const op = product ? tf.cumprod : tf.cumsum;
    return example('scan', (x: tf.Tensor) => op(x, axis, exclusive, reverse), [dims]);
  });

const mirrorPad = fc
  .tuple(shape, fc.boolean())
  .chain(([dims, reflect]) => {
    const most = (n: number) => fc.nat(reflect ? n - 1 : n);
    const paddings = fc.tuple(...dims.map((n) => fc.tuple(most(n), most(n))));
    return fc.tuple(fc.constant(dims), paddings, fc.constant(reflect ? 'reflect' : 'symmetric'));
  })
  .map(([dims, paddings, mode]) =>
    example('mirrorPad', (x: tf.Tensor) => tf.mirrorPad(x, paddings, mode as 'reflect'), [dims]),
  );

const stridedSlice = shape
  .chain((dims) => {
    const axis = (n: number) => {
      const index = fc.integer({ min: -n, max: n });
      return fc.tuple(index, index, fc.constantFrom(-2, -1, 1, 2));
    };
    const bits = fc.nat(2 ** dims.length - 1);
    return fc.tuple(fc.constant(dims), fc.tuple(...dims.map(axis)), bits, bits);
  })
  .map(([dims, axes, beginMask, endMask]) => {
    const parts = [0, 1, 2].map((i) => axes.map((axis) => axis[i]!));
    const fn = (x: tf.Tensor) =>
      tf.stridedSlice(x, parts[0]!, parts[1]!, parts[2]!, beginMask, endMask);
    return example('stridedSlice', fn, [dims]);
  })
  .filter(({ fn, inputs }) => tf.tidy(() => fn(tf.zeros(inputs[0]!.shape)).size > 0));

const gather = (mostBatchDims: number) =>
  fc
    .record({
      dims: fc.array(dim, { minLength: 2, maxLength: 4 }),
      axis: fc.nat(3),
      batchDims: fc.nat(mostBatchDims),
      picks: dim,
      seed: fc.nat(100),
    })
    .filter(({ dims, axis, batchDims }) => axis < dims.length && batchDims <= axis)
    .map(({ dims, axis, batchDims, picks, seed }) => {
      const shape = [...dims.slice(0, batchDims), picks];
      const size = tf.util.sizeFromShape(shape);
      const indices = Array.from({ length: size }, (_, i) => (seed + i * 7) % dims[axis]!);
      const fn = (x: tf.Tensor) =>
        tf.gather(x, tf.tensor(indices, shape, 'int32'), axis, batchDims);
      return example(`gather [${indices}], axis ${axis}, ${batchDims} batch dims`, fn, [dims]);
    });

const resize = fc
  .record({
    height: side,
    width: side,
    newHeight: side,
    newWidth: side,
    mode: fc.nat(2),
    bilinear: fc.boolean(),
  })
  .map(({ height, width, newHeight, newWidth, mode, bilinear }) => {
    const op = bilinear ? tf.image.resizeBilinear : tf.image.resizeNearestNeighbor;
    const fn = (x: tf.Tensor) =>
      op(x as tf.Tensor4D, [newHeight, newWidth], mode === 1, mode === 2);
    return example('resize', fn, [[1, height, width, 1]]);
  });

const families: Record<string, fc.Arbitrary<Case>> = {
  'broadcast binary ops': binary,
  'broadcast matMul': batchMatMul,
  convolutions: convolution,
  pooling,
  'cumsum and cumprod': scan,
  mirrorPad,
  stridedSlice,
  gather: gather(0),
  'gather with batch dimensions': gather(2),
  resizing: resize,
};

/** The wasm kernel of gather reads past its input where batches are smaller than the table. */
const wrongForward: Record<string, string> = { wasm: 'gather with batch dimensions' };

describe.each(testBackends)('any shape on %s', (backend) => {
  let uninstall: () => void;
  beforeAll(async () => {
    await activate(backend);
    uninstall = installGradients();
  });
  afterAll(() => uninstall());

  test.for(Object.entries(families))('%s', ([name, family], { skip }) => {
    skip(wrongForward[backend] === name, 'the kernel itself is wrong here, not its gradient');
    const before = tf.memory().numTensors;
    fc.assert(
      fc.property(family, fc.nat(1000), (one, seed) => {
        const problem = problemOf(one, seed);
        expectGradient(problem);
        expectHessian(problem);
      }),
      { numRuns: 25, seed: 42 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });
});
