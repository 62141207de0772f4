import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { data, expectAsOnCpu, values } from './harness.js';
import { onBackend } from './on-backend.js';

type Triple = [number, number, number];
type Shape5D = [number, ...Triple, number];

const length = (max: number) => fc.integer({ min: 1, max });
const triple = (max: number): fc.Arbitrary<Triple> =>
  fc.tuple(length(max), length(max), length(max));

const boxes = fc
  .record({
    batch: length(2),
    size: triple(5),
    inChannels: length(3),
    outChannels: length(3),
    filter: triple(3),
    strides: triple(3),
    pad: fc.constantFrom('same' as const, 'valid' as const),
    seed: fc.nat(),
  })
  .filter(({ size, filter, pad }) => pad === 'same' || size.every((n, i) => n >= filter[i]!));

const runs = { numRuns: 100, seed: 7 };

describe('volumes on wasm', () => {
  const convolutions = boxes.map((b) => {
    const input: Shape5D = [b.batch, ...b.size, b.inChannels];
    const filter: [...Triple, number, number] = [...b.filter, b.inChannels, b.outChannels];
    const { outShape } = tf.backend_util.computeConv3DInfo(input, filter, b.strides, 1, b.pad);
    return { input, filter, outShape, attrs: { strides: b.strides, pad: b.pad }, seed: b.seed };
  });

  it('have the gradients of a convolution that the cpu gives', async () => {
    await fc.assert(
      fc.asyncProperty(convolutions, async ({ input, filter, outShape, attrs, seed }) => {
        const dy = data(outShape, seed);
        const toInput = { dy, filter: data(filter, seed + 1) };
        const toFilter = { x: data(input, seed + 2), dy };
        await expectAsOnCpu('wasm', tf.Conv3DBackpropInputV2, toInput, {
          ...attrs,
          inputShape: input,
        });
        await expectAsOnCpu('wasm', tf.Conv3DBackpropFilterV2, toFilter, {
          ...attrs,
          filterShape: filter,
        });
      }),
      runs,
    );
  });

  it('have the maxima that the cpu gives, negative ones too', async () => {
    await fc.assert(
      fc.asyncProperty(boxes, (b) => {
        const { x, attrs } = pooling(b);
        return expectAsOnCpu('wasm', tf.MaxPool3D, { x }, attrs);
      }),
      runs,
    );
  });
});

describe.each(['wasm', 'cpu'] as const)(
  'the gradient of a maximum over volumes on %s',
  (backend) => {
    it('goes to the first maximum of each window', async () => {
      await fc.assert(
        fc.asyncProperty(boxes, (b) => {
          const { x, attrs, info } = pooling(b);
          const dy = data(info.outShape, b.seed);
          const expected = { shape: [...x.shape], values: slowGradient(dy.values, x.values, info) };
          return expectAsOnCpu(
            backend,
            tf.MaxPool3DGrad,
            { dy, input: x },
            attrs,
            async () => expected,
          );
        }),
        runs,
      );
    });
  },
);

type Box = typeof boxes extends fc.Arbitrary<infer T> ? T : never;

function pooling(b: Box) {
  const shape: Shape5D = [b.batch, ...b.size, b.inChannels];
  // Few distinct values, so that maxima are often equal.
  const coarse = values(tf.util.sizeFromShape(shape), b.seed).map((v) => Math.round(v * 2) - 1);
  const info = tf.backend_util.computePool3DInfo(shape, b.filter, b.strides, 1, b.pad);
  const attrs = { filterSize: b.filter, strides: b.strides, pad: b.pad };
  return { x: { shape, values: coarse }, attrs, info };
}

/** For every output, its window searched element by element. */
function slowGradient(
  dy: ArrayLike<number>,
  x: ArrayLike<number>,
  info: ReturnType<typeof tf.backend_util.computePool3DInfo>,
): Float32Array {
  const dx = new Float32Array(x.length);
  const inputs = [info.inDepth, info.inHeight, info.inWidth];
  const outputs = [info.outDepth, info.outHeight, info.outWidth];
  const filter = [info.filterDepth, info.filterHeight, info.filterWidth];
  const strides = [info.strideDepth, info.strideHeight, info.strideWidth];
  const before = [info.padInfo.front, info.padInfo.top, info.padInfo.left];
  const channels = info.inChannels;
  for (let i = 0; i < dy.length; i++) {
    const [batch, ...at] = unravel(Math.floor(i / channels), outputs);
    let best = -1;
    for (let tap = 0; tap < filter[0]! * filter[1]! * filter[2]!; tap++) {
      const [, ...offset] = unravel(tap, filter);
      const position = at.map((o, axis) => o * strides[axis]! + offset[axis]! - before[axis]!);
      if (position.some((p, axis) => p < 0 || p >= inputs[axis]!)) continue;
      const [d, h, w] = position as Triple;
      const pixel = ((batch! * inputs[0]! + d) * inputs[1]! + h) * inputs[2]! + w;
      const element = pixel * channels + (i % channels);
      if (best < 0 || x[element]! > x[best]!) best = element;
    }
    dx[best]! += dy[i]!;
  }
  return dx;
}

/** The position of element `index` of `[batch, depth, height, width]`. */
function unravel(index: number, [depth, height, width]: readonly number[]): number[] {
  const row = Math.floor(index / width!);
  const plane = Math.floor(row / height!);
  return [Math.floor(plane / depth!), plane % depth!, row % height!, index % width!];
}

describe('prelu on wasm', () => {
  it('broadcasts its slopes as the cpu does', async () => {
    const cases = fc.array(fc.tuple(length(4), fc.boolean()), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(), (axes, seed) => {
        const x = data(
          axes.map(([n]) => n),
          seed,
        );
        const alpha = data(
          axes.map(([n, shared]) => (shared ? 1 : n)),
          seed + 1,
        );
        return expectAsOnCpu('wasm', tf.Prelu, { x, alpha }, {});
      }),
      runs,
    );
  });
});

describe.each(['cpu', 'wasm'] as const)('batch normalization on %s', (backend) => {
  it('broadcasts its statistics along any axes, as written out', async () => {
    const cases = fc.array(fc.tuple(length(4), fc.boolean()), { minLength: 2, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(), fc.boolean(), async (axes, seed, scaled) => {
        const shape = axes.map(([n]) => n);
        const shared = axes.map(([n, one]) => (one ? 1 : n));
        await onBackend(backend, () => {
          const make = (dims: number[], by: number) =>
            tf.tensor(data(dims, seed + by).values, dims);
          const [x, mean, variance] = [make(shape, 0), make(shared, 1), make(shared, 2)];
          const [scale, offset] = scaled ? [make(shared, 3), make(shared, 4)] : [];
          const positive = tf.square(variance);
          const given = { x, mean, variance: positive, ...(scaled && { scale, offset }) };
          const made = tf
            .engine()
            .runKernel(tf.FusedBatchNorm, given as unknown as tf.NamedTensorMap, {
              varianceEpsilon: 0.1,
            }) as tf.Tensor;
          const normed = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(positive, 0.1)));
          const expected = tf.add(tf.mul(normed, scale ?? 1), offset ?? 0);
          expect(tf.max(tf.abs(tf.sub(made, expected))).dataSync()[0]).toBeLessThan(1e-4);
        });
      }),
      runs,
    );
  });
});
