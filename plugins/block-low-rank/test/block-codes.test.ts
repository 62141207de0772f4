import { createStorage, relativeError, StoredDense, StoredEmbedding } from '@espalier/compression';
import type { MatrixStorage } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import {
  codeMatrix,
  expandCodes,
  finishTraining,
  startTraining,
} from '@espalier/plugin-block-low-rank';
import type { CodedMatrix } from '@espalier/plugin-block-low-rank';
import {
  agreement,
  backendsUnderTest,
  directional,
  liveTensors,
  onBackend,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { anyCodes, randomCodes } from './random-codes.js';
import type { KnownCodes, Spelled } from './random-codes.js';

type Read = (name: string) => Tensor;

function storageOf({ config, weights, rows, columns }: CodedMatrix) {
  const tensors = new Map(
    Object.entries(weights).map(([part, data]) => [`m_${part}`, tf.tensor1d(data)]),
  );
  const plain = JSON.parse(JSON.stringify(config)) as typeof config;
  const storage = createStorage('m', [rows, columns], plain);
  return { storage, read: ((name) => tensors.get(name)!) as Read };
}

/** Length of the difference over that of `b`. */
const gap = (a: Tensor, b: Tensor) =>
  tf.div(tf.norm(tf.sub(a, b)), tf.maximum(tf.norm(b), 1e-9)).dataSync()[0]!;

/** Two blocks with bases of their own, one with the shared basis, one without; large enough for every way to compute. */
const LARGE: Spelled = {
  columns: 64,
  shared: 20,
  blocks: [
    { rows: 8, bits: times(64, (k) => 1 + (k % 10)), basis: 'own', lengths: 5 },
    { rows: 120, bits: [4, 0, 3, 0, ...times(30, () => 1)], basis: 'own' },
    { rows: 60, bits: times(20, () => 2), basis: 'shared', lengths: 3 },
    { rows: 10, bits: [3, 0, 0, 5], basis: 'none' },
    { rows: 3, bits: [], basis: 'none' },
  ],
  mapped: true,
  transposed: false,
  seed: 4,
};

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

test('a matrix expands to what its bits say', () => {
  fc.assert(
    fc.property(anyCodes, (spelled) => {
      const { dense, ...coded } = randomCodes(spelled);
      const { data, rows, columns } = expandCodes(coded);
      expect([rows, columns]).toEqual([dense.length, dense[0]!.length]);
      const expected = Float64Array.from(dense.flat());
      expect(agreement([data], [expected]).relativeError).toBeLessThan(1e-6);
    }),
    { numRuns: 40 },
  );
});

/** Small ones and large ones, straight and transposed. */
/** Without a basis, and with other bits from column to column: coded in another order. */
const ALL_COLUMNS: Spelled['blocks'][number] = {
  rows: 70,
  bits: times(64, (k) => 1 + (k % 6)),
  basis: 'none',
};

const CASES: readonly (readonly [string, Spelled])[] = [
  ['few rows', { ...LARGE, blocks: LARGE.blocks.map((block) => ({ ...block, rows: 5 })) }],
  ['many rows', LARGE],
  ['many rows in the order of blocks', { ...LARGE, mapped: false }],
  ['a transposed matrix', { ...LARGE, transposed: true }],
  ['all columns, in another order', { ...LARGE, blocks: [ALL_COLUMNS], mapped: false }],
];

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(CASES)('rows are those of the matrix: %s', (_, spelled) => {
    const before = liveTensors();
    tf.tidy(() => {
      const coded = randomCodes(spelled);
      const { storage, read } = storageOf(coded);
      storage.weights.forEach(({ name, shape, dtype, trainable }) => {
        expect(read(name)).toMatchObject({ shape, dtype });
        expect(trainable).toBe(false);
      });
      const expected = tf.tensor2d(coded.dense as number[][]);
      const { rows, columns } = coded;
      const some = tf.tensor1d([rows - 1, 0, 7, 7, 3], 'int32');
      for (let call = 0; call < 2; call++) {
        expect(gap(storage.slice(read, 0, rows), expected)).toBeLessThan(1e-6);
        expect(
          gap(storage.slice(read, 3, 9), tf.slice2d(expected, [3, 0], [9, columns])),
        ).toBeLessThan(1e-6);
        expect(gap(storage.gather(read, some), tf.gather(expected, some))).toBeLessThan(1e-6);
      }
      expect(storage.gather(read, tf.tensor1d([], 'int32')).shape).toEqual([0, columns]);
    });
    expect(liveTensors()).toBe(before);
  });

  test.each(CASES)('products with x are those of the matrix: %s', (_, spelled) => {
    const before = liveTensors();
    tf.tidy(() => {
      const coded = randomCodes(spelled);
      const { storage, read } = storageOf(coded);
      const matrix = tf.tensor2d(coded.dense as number[][]);
      for (const queries of [1, 20, 60]) {
        const x = tf.randomNormal<tf.Rank.R2>([queries, coded.columns], 0, 1, 'float32', 3);
        const y = tf.randomNormal<tf.Rank.R2>([queries, coded.rows], 0, 0.1, 'float32', 4);
        expect(gap(storage.scores!(read, x), tf.matMul(x, matrix, false, true))).toBeLessThan(1e-6);
        expect(gap(storage.multiply!(read, y), tf.matMul(y, matrix))).toBeLessThan(1e-6);
      }
    });
    expect(liveTensors()).toBe(before);
  });

  test('gradients of products are right, those of gradients too', () => {
    tf.tidy(() => {
      const coded = randomCodes({
        ...LARGE,
        blocks: LARGE.blocks.map((each) => ({ ...each, rows: 9 })),
      });
      const { storage, read } = storageOf(coded);
      const x = tf.randomNormal<tf.Rank.R2>([2, coded.columns], 0, 0.1, 'float32', 3);
      const y = tf.randomNormal<tf.Rank.R2>([2, coded.rows], 0, 0.1, 'float32', 4);
      const ways: [Tensor2D, (given: Tensor2D) => Tensor][] = [
        [x, (given) => storage.scores!(read, given)],
        [y, (given) => storage.multiply!(read, given)],
      ];
      for (const [at, product] of ways) {
        const loss = (given: Tensor) => tf.sum<Scalar>(tf.sin(product(given as Tensor2D)));
        const steepness = (given: Tensor) => tf.sum<Scalar>(tf.square(tf.grad(loss)(given)));
        for (const f of [loss, steepness]) {
          const [numeric, analytic] = directional(f, [at], [tf.grad(f)(at)], { step: 1e-3 });
          expect(Math.abs(numeric - analytic)).toBeLessThan(5e-3 * Math.abs(analytic) + 1e-3);
        }
      }
    });
  });

  test('a weight that is replaced is read again', () => {
    tf.tidy(() => {
      const [one, other] = [1, 2].map((seed) => randomCodes({ ...LARGE, seed }));
      const { storage } = storageOf(one!);
      for (const { read, coded } of [one!, other!].map((coded) => ({
        ...storageOf(coded),
        coded,
      }))) {
        const decoded = storage.slice(read, 0, coded.rows);
        expect(gap(decoded, tf.tensor2d(coded.dense as number[][]))).toBeLessThan(1e-6);
      }
    });
  });

  test('a row that there is not is refused', () => {
    tf.tidy(() => {
      const { storage, read } = storageOf(randomCodes(LARGE));
      for (const wrong of [201, -1]) {
        expect(() => storage.gather(read, tf.tensor1d([0, wrong], 'int32'))).toThrow(
          /201 rows has no such row.*storage\/row/,
        );
      }
    });
  });

  test('layers use it, and give their models to others', async () => {
    const before = liveTensors();
    const words = randomCodes({
      ...LARGE,
      blocks: LARGE.blocks.map((each) => ({ ...each, rows: 6 })),
    });
    const units = randomCodes({ ...LARGE, transposed: true });
    const make = () => {
      const embedding = new StoredEmbedding({
        ...{ inputDim: 30, outputDim: 64, inputShape: [4], storage: { embeddings: words.config } },
      });
      const dense = new StoredDense({
        ...{ units: 201, useBias: false, storage: { kernel: units.config } },
      });
      const model = tfl.sequential({
        layers: [embedding, tfl.layers.flatten(), tfl.layers.dense({ units: 64 }), dense],
      });
      return { model, embedding, dense };
    };
    const first = make();
    const tensors = (coded: KnownCodes) =>
      Object.values(coded.weights).map((data) => tf.tensor1d(data));
    tf.tidy(() => {
      first.embedding.setWeights(tensors(words));
      first.dense.setWeights(tensors(units));
    });
    const saved = await new Promise<tf.io.ModelArtifacts>((resolve) => {
      void first.model.save(
        tf.io.withSaveHandler(async (artifacts) => {
          resolve(artifacts);
          return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
        }),
      );
    });
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved));
    tf.tidy(() => {
      const ids = tf.tensor2d([[0, 29, 3, 3]], [1, 4], 'int32');
      const rows = tf.gather(tf.tensor2d(words.dense as number[][]), tf.reshape(ids, [-1]));
      expect(gap(tf.reshape(first.embedding.apply(ids) as Tensor, [4, 64]), rows)).toBeLessThan(
        1e-6,
      );
      const x = tf.randomNormal([2, 64], 0, 1, 'float32', 3);
      const kernel = tf.tensor2d(units.dense as number[][]);
      expect(gap(first.dense.apply(x) as Tensor, tf.matMul(x as Tensor2D, kernel))).toBeLessThan(
        1e-6,
      );
      expect(gap(loaded.predict(ids) as Tensor, first.model.predict(ids) as Tensor)).toBe(0);
    });
    first.model.dispose();
    loaded.dispose();
    expect(liveTensors()).toBe(before);
  });
});

test('a block is decoded and multiplied in pieces', async () => {
  await onBackend('wasm');
  tf.tidy(() => {
    const blocks = [{ rows: 1100, bits: times(64, () => 1), basis: 'none' as const }];
    const coded = randomCodes({ ...LARGE, blocks, shared: 0, mapped: false });
    const { storage, read } = storageOf(coded);
    compareAll(storage, read, coded);
  });
});

test('other backends compute the same by ops', async () => {
  await onBackend('cpu');
  const own = ['Decode', 'Score', 'Sum'].map((what) =>
    tf.getKernel(`Espalier${what}BlockCodes`, 'cpu')!,
  );
  const composed = own.map(({ kernelName }) => ({
    ...tf.getKernel(kernelName, 'webgpu')!,
    backendName: 'cpu',
  }));
  const use = (kernels: readonly tf.KernelConfig[]) =>
    kernels.forEach((kernel) => {
      tf.unregisterKernel(kernel.kernelName, 'cpu');
      tf.registerKernel(kernel);
    });
  use(composed);
  try {
    const check = (spelled: Spelled) =>
      tf.tidy(() => {
        const coded = randomCodes(spelled);
        const { storage, read } = storageOf(coded);
        compareAll(storage, read, coded);
      });
    check({ ...LARGE, blocks: LARGE.blocks.map((each) => ({ ...each, rows: 5 })) });
    fc.assert(fc.property(anyCodes, check), { numRuns: 10 });
  } finally {
    use(own);
  }
});

function compareAll(
  storage: MatrixStorage,
  read: Read,
  { rows, columns, dense }: KnownCodes,
): void {
  const matrix = tf.tensor2d(dense as number[][]);
  const ids = tf.tensor1d([rows - 1, 0, 0], 'int32');
  const x = tf.randomNormal<tf.Rank.R2>([1, columns], 0, 1, 'float32', 3);
  const y = tf.randomNormal<tf.Rank.R2>([1, rows], 0, 1, 'float32', 4);
  expect(gap(storage.slice(read, 0, rows), matrix)).toBeLessThan(1e-5);
  expect(gap(storage.gather(read, ids), tf.gather(matrix, ids))).toBeLessThan(1e-5);
  expect(gap(storage.scores!(read, x), tf.matMul(x, matrix, false, true))).toBeLessThan(1e-5);
  expect(gap(storage.multiply!(read, y), tf.matMul(y, matrix))).toBeLessThan(1e-5);
}

test('codes of a matrix expand to what their error says, in a layer as on the host', async () => {
  await onBackend('wasm');
  const draw = keyedRng(3, 'matrix');
  const data = Float32Array.from({ length: 400 * 12 }, (_, i) => (draw() - 0.5) / (1 + (i % 12)));
  const counts = Array.from({ length: 400 }, (_, i) => (i % 3 ? 1 : 1000));
  const coded = await codeMatrix(
    { data, rows: 400, columns: 12 },
    { ratio: 8, counts, objective: 'counts' },
  );
  expect(coded.config.mapped).toBe(true);
  const expanded = expandCodes(coded);
  expect(relativeError({ data, rows: 400, columns: 12 }, expanded)).toBeCloseTo(coded.error, 5);
  tf.tidy(() => {
    const { storage, read } = storageOf(coded);
    expect(gap(storage.slice(read, 0, 400), tf.tensor2d(expanded.data, [400, 12]))).toBeLessThan(
      1e-6,
    );
  });
  const again = await finishTraining(startTraining(coded));
  expect(again.weights.codes).toEqual(coded.weights.codes);
  expect(again.weights.map).toEqual(coded.weights.map);
  expect(again.weights.basis).toEqual(coded.weights.basis);
});

const BLOCK = { rows: 4, bits: '31', basis: 'own' };

test.each<[string, object, RegExp]>([
  ['no blocks', { blocks: [] }, /option 'blocks'/],
  ['bits that are no digits', { blocks: [{ ...BLOCK, bits: '3b' }] }, /option 'blocks.*bits'/],
  ['a length of one bit', { blocks: [{ ...BLOCK, lengths: 1 }] }, /option 'blocks.*lengths'/],
  ['an unknown field', { blocks: [BLOCK], map: true }, /unknown option 'map'.*mapped/],
  [
    'other rows',
    { blocks: [{ ...BLOCK, rows: 5 }] },
    /blocks have 5 rows, and the matrix has 4.*block-codes\/config/,
  ],
  [
    'too many directions',
    { blocks: [{ ...BLOCK, bits: '1111' }] },
    /block 0 has more directions.*block-codes\/config/,
  ],
  [
    'a shared basis that there is not',
    { blocks: [{ ...BLOCK, basis: 'shared' }] },
    /block 0 has more directions/,
  ],
  [
    'a shared basis of too many rows',
    { blocks: [BLOCK], shared: 4 },
    /more rows than the matrix has columns, 3/,
  ],
  ['a map of one block', { blocks: [BLOCK], mapped: true }, /a map needs at least two blocks/],
])('a configuration is refused: %s', (_, config, message) => {
  for (const given of [
    { kind: 'block-codes', ...config },
    { kind: 'block-codes-training', codes: { kind: 'block-codes', ...config }, shape: [4, 3] },
  ]) {
    expect(() => createStorage('m', [4, 3], given)).toThrow(message);
  }
});

test('a configuration of training for another shape is refused', () => {
  const { config } = startTraining(randomCodes({ ...LARGE, mapped: false }));
  expect(() => createStorage('m', [64, 201], config)).toThrow(
    /is of a matrix \[201, 64\], and this one is \[64, 201\].*block-codes\/config/,
  );
});

test('a map of other rows is refused', () => {
  const coded = randomCodes({ ...LARGE, columns: 64 });
  const map = coded.weights.map!.map((word, i) => (i === 0 ? word ^ 7 : word)) as Int32Array;
  expect(() => expandCodes({ ...coded, weights: { ...coded.weights, map } })).toThrow(
    /another number of rows than the block has.*block-codes\/map/,
  );
});
