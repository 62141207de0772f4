import { createStorage } from '@espalier/compression';
import type { MatrixStorage } from '@espalier/compression';
import { dequantize, quantizeProducts, quantizeResiduals } from '@espalier/plugin-quantizer';
import type { QuantizedVectors } from '@espalier/plugin-quantizer';
import {
  agreement,
  backendsUnderTest,
  directional,
  finiteDifferences,
  liveTensors,
  onBackend,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { gaussianMatrix } from './gaussian.js';

const [ROWS, COLUMNS] = [23, 10];
const matrix = gaussianMatrix(ROWS, COLUMNS);

const WAYS: readonly [string, () => Promise<QuantizedVectors>][] = [
  ['5 parts of 4 bits', () => quantizeProducts(matrix, { parts: 5, bits: 4 })],
  ['3 parts of 3 bits, of different widths', () => quantizeProducts(matrix, { parts: 3, bits: 3 })],
  [
    '2 rotated parts of 2 bits',
    () => quantizeProducts(matrix, { parts: 2, bits: 2, rotate: true }),
  ],
  ['3 stages of 3 bits', () => quantizeResiduals(matrix, { stages: 3, bits: 3 })],
];

type Read = (name: string) => Tensor;

/** A storage of these codes, and the same codes in the transposed matrix. */
function storagesOf({ config, weights }: QuantizedVectors) {
  const tensors = new Map(
    Object.entries(weights).map(([part, data]) => [`m_${part}`, tf.tensor1d(data!)]),
  );
  return {
    read: ((name) => tensors.get(name)!) as Read,
    straight: createStorage('m', [ROWS, COLUMNS], JSON.parse(JSON.stringify(config)) as never),
    transposed: createStorage('m', [COLUMNS, ROWS], { ...config, transposed: true }),
  };
}

const gap = (a: Tensor, b: Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!;

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(WAYS)('gather and slice give what dequantize gives: %s', async (_, make) => {
    const before = liveTensors();
    const coded = await make();
    const whole = dequantize(coded, [ROWS, COLUMNS]);
    tf.tidy(() => {
      const { read, straight, transposed } = storagesOf(coded);
      straight.weights.forEach(({ name, shape, dtype, trainable }) => {
        expect(read(name)).toMatchObject({ shape, dtype });
        expect(trainable).toBe(name === 'm_codebook');
      });
      const expected = tf.tensor2d(whole.data, [ROWS, COLUMNS]);
      const turned = tf.transpose(expected);
      const exact = coded.weights.rotation || 'stages' in coded.config ? 1e-6 : 0;
      const [some, few] = [tf.tensor1d([22, 0, 7, 7], 'int32'), tf.tensor1d([9, 0], 'int32')];
      expect(gap(straight.slice(read, 0, ROWS), expected)).toBeLessThanOrEqual(exact);
      expect(
        gap(straight.slice(read, 3, 2), tf.slice2d(expected, [3, 0], [2, COLUMNS])),
      ).toBeLessThanOrEqual(exact);
      expect(gap(straight.gather(read, some), tf.gather(expected, some))).toBeLessThanOrEqual(
        exact,
      );
      expect(
        gap(transposed.slice(read, 2, 5), tf.slice2d(turned, [2, 0], [5, ROWS])),
      ).toBeLessThanOrEqual(exact);
      expect(gap(transposed.gather(read, few), tf.gather(turned, few))).toBeLessThanOrEqual(exact);
      const { config } = transposed;
      expect([...dequantize({ ...coded, config }, [COLUMNS, ROWS]).data]).toEqual([
        ...turned.dataSync().map((x) => x + 0),
      ]);
    });
    expect(liveTensors()).toBe(before);
  });

  test.each(WAYS)(
    'scores are products with the decoded rows, by tables or not: %s',
    async (_, make) => {
      const coded = await make();
      tf.tidy(() => {
        const { read, straight, transposed } = storagesOf(coded);
        const rows = straight.slice(read, 0, ROWS);
        for (const queries of [1, 2, 40]) {
          const x = tf.tensor2d(gaussianMatrix(queries, COLUMNS, 5).data, [queries, COLUMNS]);
          const expected = tf.matMul(x, rows, false, true);
          expect(gap(straight.scores!(read, x), expected)).toBeLessThan(1e-5);
          expect(gap(transposed.multiply!(read, x), expected)).toBeLessThan(1e-5);
        }
      });
    },
  );

  test.each(WAYS)('gradients are those of finite differences: %s', async (_, make) => {
    const coded = await make();
    tf.tidy(() => {
      const { read, straight, transposed } = storagesOf(coded);
      const codebook = read('m_codebook');
      const readWith =
        (book: Tensor): Read =>
        (name) =>
          name === 'm_codebook' ? book : read(name);
      const x = tf.tensor2d(gaussianMatrix(1, COLUMNS, 5).data, [1, COLUMNS]);
      const many = tf.tensor2d(gaussianMatrix(30, COLUMNS, 6).data, [30, COLUMNS]);
      const ids = tf.tensor1d([4, 4, 22, 0], 'int32');
      const size = (y: Tensor): Scalar => tf.sum(tf.sin(tf.mul(y, 0.5)));
      const paths: ((storage: Read, x: Tensor2D) => Tensor)[] = [
        (of) => straight.gather(of, ids),
        (of) => transposed.slice(of, 1, 3),
        (of, state) => straight.scores!(of, state),
        (of, state) => transposed.multiply!(of, state),
        (of, state) => straight.scores!(of, tf.add(many, state)),
      ];
      for (const path of paths) {
        const f = (book: Tensor, state: Tensor) =>
          tf.add<Scalar>(size(path(readWith(book), state as Tensor2D)), tf.sum(tf.mul(state, 0.1)));
        const [numeric, analytic] = directional(f, [codebook, x], tf.grads(f)([codebook, x]));
        expect(Math.abs(numeric - analytic)).toBeLessThan(2e-3 * Math.abs(analytic) + 1e-4);
      }
    });
  });

  test('gradients of gradients exist: the length of a gradient can be differentiated', async () => {
    const coded = await quantizeProducts(matrix, { parts: 2, bits: 2 });
    tf.tidy(() => {
      const { read, straight } = storagesOf(coded);
      const ids = tf.tensor1d([1, 5, 5], 'int32');
      const look = (book: Tensor) =>
        straight.gather((name) => (name === 'm_codebook' ? book : read(name)), ids);
      const loss = (book: Tensor) => tf.sum(tf.pow(look(book), 3)) as Scalar;
      const length = (book: Tensor) => tf.sum(tf.square(tf.grad(loss)(book))) as Scalar;
      const codebook = read('m_codebook');
      const gradient = tf.grad(length)(codebook).dataSync();
      const [numeric] = finiteDifferences(length, [codebook]);
      expect(agreement([gradient], [numeric!]).relativeError).toBeLessThan(5e-3);
    });
  });

  test('a row that there is not is refused', async () => {
    const coded = await quantizeProducts(matrix, { parts: 2, bits: 2 });
    tf.tidy(() => {
      const { read, straight } = storagesOf(coded);
      const wrong = () => straight.gather(read, tf.tensor1d([ROWS], 'int32'));
      expect(wrong).toThrow(
        tf.getBackend() === 'tensorflow' ? /GatherV2/ : /23 rows has no such row.*storage\/row/,
      );
    });
  });
});

test.each(WAYS)('other backends compute the same by ops: %s', async (_, make) => {
  await onBackend('cpu');
  const coded = await make();
  const names = ['EspalierDecodeVectors', 'EspalierSpreadToCodebook'];
  const own = names.map((name) => tf.getKernel(name, 'cpu')!);
  const composed = names.map((name) => ({
    ...tf.getKernel(name, 'tensorflow')!,
    backendName: 'cpu',
  }));
  const use = (kernels: readonly tf.KernelConfig[]) =>
    kernels.forEach((kernel) => {
      tf.unregisterKernel(kernel.kernelName, 'cpu');
      tf.registerKernel(kernel);
    });
  const compute = (storage: MatrixStorage, read: Read) => {
    const ids = tf.tensor1d([22, 0, 3, 3], 'int32');
    const look = (book: Tensor) =>
      tf.sum(tf.square(storage.gather((name) => (name === 'm_codebook' ? book : read(name)), ids)));
    const gradient = tf.grad(look as (book: Tensor) => Scalar)(read('m_codebook'));
    return [storage.gather(read, ids).dataSync(), gradient.dataSync()];
  };
  tf.tidy(() => {
    const { read, straight } = storagesOf(coded);
    const expected = compute(straight, read);
    try {
      use(composed);
      compute(straight, read).forEach((values, i) => {
        expect(agreement([values], [expected[i]!]).relativeError).toBeLessThan(1e-6);
      });
    } finally {
      use(own);
    }
  });
});
