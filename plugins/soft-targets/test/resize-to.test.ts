import { ResizeTo } from '@espalier/plugin-soft-targets';
import type { ResizeMode, ResizeToArgs } from '@espalier/plugin-soft-targets';
import { agreement, finiteDifferences, liveTensors, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';

const resize = (x: Tensor, size: readonly number[], mode: ResizeMode) =>
  new ResizeTo({ size, mode }).apply(x) as Tensor;

/** The definition, position by position, of one map `[height, width]`. */
function slowly(map: number[][], [height, width]: readonly number[], mode: ResizeMode) {
  const along = (i: number, from: number, to: number) => {
    if (mode === 'nearest') return [[Math.floor((i * from) / to), 1] as const];
    const centre = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    return [Math.floor(centre), Math.ceil(centre)].map((position, k, [low, high]) => {
      const share = low === high ? 0.5 : 1 - Math.abs(centre - position);
      return [position, share] as const;
    });
  };
  return Array.from({ length: height! }, (_, i) =>
    Array.from({ length: width! }, (_, j) => {
      let sum = 0;
      for (const [y, p] of along(i, map.length, height!)) {
        for (const [x, q] of along(j, map[0]!.length, width!)) sum += p * q * map[y]![x]!;
      }
      return sum;
    }),
  );
}

describe.each(['cpu', 'wasm'] as const)('ResizeTo on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(['nearest', 'bilinear'] as const)('%s matches a slow reference', (mode) => {
    const length = fc.integer({ min: 1, max: 9 });
    const property = fc.property(
      fc.tuple(length, length, length, length),
      ([height, width, h, w]) => {
        tf.tidy(() => {
          const x = tf.randomNormal([2, height, width, 3], 0, 1, 'float32', 1) as Tensor4D;
          const y = resize(x, [h, w], mode) as Tensor4D;
          expect(y.shape).toEqual([2, h, w, 3]);
          const [maps, results] = [x, y].map((t) => tf.transpose(t, [0, 3, 1, 2]).arraySync());
          const expected = (maps as number[][][][]).map((example) =>
            example.map((map) => slowly(map, [h, w], mode)),
          );
          const flat = expected.flat(3);
          (results as number[][][][])
            .flat(3)
            .forEach((value, i) => expect(value).toBeCloseTo(flat[i]!, 4));
        });
      },
    );
    fc.assert(property, { numRuns: 40, seed: 1 });
  });

  test('bilinear gives the numbers of PyTorch’s documentation of nn.Upsample', () => {
    const actual = tf.tidy(() =>
      tf.squeeze(resize(tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]), [4, 4], 'bilinear')).arraySync(),
    );
    expect(actual).toEqual([
      [1, 1.25, 1.75, 2],
      [1.5, 1.75, 2.25, 2.5],
      [2.5, 2.75, 3.25, 3.5],
      [3, 3.25, 3.75, 4],
    ]);
  });

  test('resizes sequences', () => {
    const actual = tf.tidy(() =>
      resize(tf.tensor3d([1, 10, 3, 30], [1, 2, 2]), [3], 'bilinear').arraySync(),
    );
    expect(actual).toEqual([
      [
        [1, 10],
        [2, 20],
        [3, 30],
      ],
    ]);
  });

  test.each(['nearest', 'bilinear'] as const)('%s has gradients of both orders', (mode) => {
    const x = tf.randomNormal([1, 3, 2, 2], 0, 1, 'float32', 2);
    const f = (each: Tensor) => tf.sum(tf.pow(resize(each, [5, 4], mode), 3)) as Scalar;
    const gradient = (each: Tensor) => tf.grad(f)(each);
    const exact = gradient(x);
    expect(agreement([exact.dataSync()], finiteDifferences(f, [x])).relativeError).toBeLessThan(
      5e-3,
    );
    const squared = (each: Tensor) => tf.sum(tf.square(gradient(each))) as Scalar;
    const second = tf.grad(squared)(x);
    const numeric = finiteDifferences(squared, [x]);
    expect(agreement([second.dataSync()], numeric).relativeError).toBeLessThan(1e-2);
    tf.dispose([x, exact, second]);
  });

  test('leaves no tensor', () => {
    const x = tf.ones([1, 3, 3, 1]);
    const before = liveTensors();
    const f = (each: Tensor) => tf.sum(resize(each, [4, 5], 'bilinear')) as Scalar;
    const { value, grad } = tf.valueAndGrad(f)(x);
    tf.dispose([value, grad]);
    expect(liveTensors()).toBe(before);
    x.dispose();
  });
});

test('is saved and loaded with a model', async () => {
  await onBackend('cpu');
  const layer = new ResizeTo({ name: 'up', size: [3, 5], mode: 'bilinear' });
  const model = tfl.sequential({
    layers: [tfl.layers.inputLayer({ inputShape: [2, 2, 1] }), layer],
  });
  expect(model.outputs[0]!.shape).toEqual([null, 3, 5, 1]);
  const topology = JSON.parse(model.toJSON() as string) as object;
  const loaded = await tfl.models.modelFromJSON(topology as never);
  const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
  const [expected, actual] = [model, loaded].map((each) => each.predict(x) as Tensor);
  expect(actual!.shape).toEqual([1, 3, 5, 1]);
  expect(actual!.dataSync()).toEqual(expected!.dataSync());
  tf.dispose([x, expected!, actual!]);
});

describe('refuses', () => {
  test.each<[string, object, number[], RegExp]>([
    ['an unknown mode', { size: [2], mode: 'cubic' }, [1, 4, 2], /option 'mode'/],
    ['part of a position', { size: [1.5], mode: 'nearest' }, [1, 4, 2], /option 'size.0'/],
    ['no size', { mode: 'nearest' }, [1, 4, 2], /option 'size'/],
    [
      'a map for a sequence',
      { size: [3], mode: 'nearest' },
      [1, 4, 4, 2],
      /label-generator\/resize/,
    ],
    [
      'a sequence for a map',
      { size: [3, 3], mode: 'nearest' },
      [1, 4, 2],
      /label-generator\/resize/,
    ],
  ])('%s', (_, args, shape, message) => {
    const x = tf.zeros(shape);
    expect(() => new ResizeTo(args as ResizeToArgs).apply(x)).toThrow(message);
    x.dispose();
  });
});
