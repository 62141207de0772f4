import { createStorage } from '@espalier/compression';
import {
  expandCodes,
  findCodebook,
  finishTraining,
  startTraining,
} from '@espalier/plugin-block-low-rank';
import type { TrainingMatrix } from '@espalier/plugin-block-low-rank';
import { backendsUnderTest, directional, liveTensors, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { anyCodes, listPieces, randomCodes } from './random-codes.js';
import type { Spelled } from './random-codes.js';

type Read = (name: string) => Tensor;

/** Every kind of block, in another order than rows. */
const BLOCKS: Spelled = {
  columns: 16,
  shared: 6,
  blocks: [
    { rows: 7, bits: [10, 9, 8, 7, 6, 5, 4, 3, 2, 1], basis: 'own', lengths: 4 },
    { rows: 9, bits: [3, 0, 2, 1], basis: 'own' },
    { rows: 8, bits: [2, 2, 0, 1, 1, 1], basis: 'shared', lengths: 3 },
    { rows: 5, bits: [4, 0, 5], basis: 'none' },
    { rows: 2, bits: [], basis: 'none' },
  ],
  mapped: true,
  transposed: false,
  seed: 3,
};

function storageOf({ config, weights, rows, columns }: TrainingMatrix) {
  const tensors = new Map(
    Object.entries(weights).map(([part, data]) => [`m_${part}`, tf.tensor1d(data)]),
  );
  const plain = JSON.parse(JSON.stringify(config)) as typeof config;
  const storage = createStorage('m', [rows, columns], plain);
  return { storage, tensors, read: ((name) => tensors.get(name)!) as Read };
}

/** With other values of some weights. */
const readWith =
  (read: Read, others: Readonly<Record<string, Tensor>>): Read =>
  (name) =>
    others[name] ?? read(name);

/** Length of the difference over that of `b`. */
const gap = (a: Tensor, b: Tensor) =>
  tf.div(tf.norm(tf.sub(a, b)), tf.maximum(tf.norm(b), 1e-9)).dataSync()[0]!;

/** As if it had trained: with numbers between levels and beyond them, scales below zero, rows of the basis of any length. */
function disturb({ weights, ...rest }: TrainingMatrix): TrainingMatrix {
  const move = (part: 'u' | 'basis' | 'scales', most: number) => ({
    [part]: weights[part]!.map((x, i) => x * (1 + most * Math.sin(5 * i)) + 0.003),
  });
  const moved = { ...weights, ...move('u', 1.5), ...move('basis', 0.3), ...move('scales', 1.2) };
  return { ...rest, weights: moved };
}

type Numbers = readonly number[];

/** A row's block and its coefficients as they are rounded, one after the other, with v = u / scale. */
function spellRows({ config, weights }: TrainingMatrix) {
  const [u, scales] = [[...weights.u!], [...weights.scales!]];
  const placed = BLOCKS.blocks.flatMap(({ rows, bits }, p) => {
    const pieces = listPieces(bits.map((each, k) => ({ bits: each, k }))).map((piece) =>
      piece.map((each) => ({ ...each, scale: scales.shift()! })),
    );
    return Array.from({ length: rows }, () => ({
      p,
      coefficients: pieces.flatMap((piece) => {
        const { values } = findCodebook(piece[0]!.bits, piece.length);
        const count = piece.length;
        const v = piece.map(({ scale }) => u.shift()! / Math.abs(scale));
        const distance = (code: number) =>
          v.reduce((sum, each, j) => sum + (each - values[code * count + j]!) ** 2, 0);
        const codes = Array.from({ length: values.length / count }, (_, code) => code);
        const code = codes.reduce((best, each) => (distance(each) < distance(best) ? each : best));
        const most = Math.max(...values.map(Math.abs));
        return piece.map(({ k, scale }, j) => {
          return { k, v: v[j]!, nearest: values[code * count + j]!, scale, most, rows };
        });
      }),
    }));
  });
  expect([u.length, scales.length, config.codes.blocks.length]).toEqual([0, 0, 5]);
  return placed;
}

/** Directions of a block. */
function directionOf(p: number, k: number, basis: ArrayLike<number>): Numbers {
  const { columns, shared } = BLOCKS;
  const kind = BLOCKS.blocks[p]!.basis;
  if (kind === 'none') return Array.from({ length: columns }, (_, j) => Number(j === k));
  const row = kind === 'shared' ? k : shared + (p === 0 ? k : BLOCKS.blocks[0]!.bits.length + k);
  return Array.from(basis).slice(row * columns, (row + 1) * columns);
}

/** Rows, summed number by number. */
function decodeSlowly(matrix: TrainingMatrix): number[][] {
  const { basis, lengths, positions } = matrix.weights;
  const decoded = spellRows(matrix).map(({ p, coefficients }, at) =>
    Array.from({ length: BLOCKS.columns }, (_, j) =>
      coefficients.reduce(
        (sum, { k, nearest, scale }) =>
          sum + lengths![at]! * nearest * Math.abs(scale) * directionOf(p, k, basis!)[j]!,
        0,
      ),
    ),
  );
  return Array.from(positions!, (at) => decoded[at]!);
}

beforeAll(() => onBackend('cpu'));

test('training starts at the decoded matrix, and codes of what has not trained are near to it', async () => {
  await fc.assert(
    fc.asyncProperty(anyCodes, async (spelled) => {
      const { dense, ...coded } = randomCodes(spelled);
      const started = startTraining(coded);
      const again = expandCodes(await finishTraining(started));
      tf.tidy(() => {
        const expected = tf.tensor2d(dense as number[][]);
        const { storage, read } = storageOf(started);
        expect(gap(storage.slice(read, 0, coded.rows), expected)).toBeLessThan(1e-6);
        const finished = tf.tensor2d(again.data, [again.rows, again.columns]);
        expect(gap(finished, expected)).toBeLessThan(0.012);
      });
    }),
    { numRuns: 15 },
  );
});

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('rows and products are those of rounded coefficients', () => {
    const before = liveTensors();
    tf.tidy(() => {
      const matrix = disturb(startTraining(randomCodes(BLOCKS)));
      const { storage, read } = storageOf(matrix);
      const expected = tf.tensor2d(decodeSlowly(matrix));
      const [ids, few] = [tf.tensor1d([30, 0, 7, 7], 'int32'), tf.tensor1d([15, 0], 'int32')];
      const x = tf.randomNormal<tf.Rank.R2>([3, 16], 0, 1, 'float32', 3);
      expect(gap(storage.slice(read, 0, 31), expected)).toBeLessThan(1e-5);
      expect(gap(storage.slice(read, 5, 9), tf.slice(expected, [5, 0], [9, 16]))).toBeLessThan(
        1e-5,
      );
      expect(gap(storage.gather(read, ids), tf.gather(expected, ids))).toBeLessThan(1e-5);
      expect(gap(storage.scores!(read, x), tf.matMul(x, expected, false, true))).toBeLessThan(1e-5);
      const turned = createStorage('m', [16, 31], {
        ...matrix.config,
        codes: { ...matrix.config.codes, transposed: true },
        shape: [16, 31],
      });
      expect(gap(turned.slice(read, 0, 16), tf.transpose(expected))).toBeLessThan(1e-5);
      expect(gap(turned.gather(read, few), tf.transpose(tf.gather(expected, few, 1)))).toBeLessThan(
        1e-5,
      );
      expect(gap(turned.multiply!(read, x), tf.matMul(x, expected, false, true))).toBeLessThan(
        1e-5,
      );
    });
    expect(liveTensors()).toBe(before);
  });

  test('gradients of basis and x are those of finite differences', () => {
    tf.tidy(() => {
      const { storage, read } = storageOf(disturb(startTraining(randomCodes(BLOCKS))));
      const basis = read('m_basis');
      const x = tf.randomNormal<tf.Rank.R2>([2, 16], 0, 0.3, 'float32', 3);
      const size = (y: Tensor): Scalar => tf.sum(tf.sin(tf.mul(y, 0.5)));
      const ways: ((of: Read, state: Tensor2D) => Tensor)[] = [
        (of) => storage.gather(of, tf.tensor1d([4, 4, 30, 0], 'int32')),
        (of) => storage.slice(of, 0, 31),
        (of, state) => storage.scores!(of, state),
      ];
      for (const way of ways) {
        const f = (given: Tensor, state: Tensor) =>
          tf.add<Scalar>(
            size(way(readWith(read, { m_basis: given }), state as Tensor2D)),
            tf.sum(tf.mul(state, 0.1)),
          );
        const [numeric, analytic] = directional(f, [basis, x], tf.grads(f)([basis, x]));
        expect(Math.abs(numeric - analytic)).toBeLessThan(2e-3 * Math.abs(analytic) + 1e-3);
      }
    });
  });

  test('gradients pass rounding straight within reach of the levels, and scales learn as steps do', () => {
    tf.tidy(() => {
      const matrix = disturb(startTraining(randomCodes(BLOCKS)));
      const { storage, read } = storageOf(matrix);
      const weights = tf.randomNormal<tf.Rank.R2>([31, 16], 0, 1, 'float32', 5);
      const f = (u: Tensor, scales: Tensor) =>
        tf.sum<Scalar>(
          tf.mul(storage.slice(readWith(read, { m_u: u, m_scales: scales }), 0, 31), weights),
        );
      const found = tf.grads(f)([read('m_u'), read('m_scales')]);
      const { basis, lengths, positions } = matrix.weights;
      const slopes = weights.arraySync();
      const rowAt = Array.from(positions!, (at, row) => [at, row]).sort(([a], [b]) => a! - b!);
      const [ofU, ofScales]: [number[], Map<string, number>] = [[], new Map()];
      spellRows(matrix).forEach(({ p, coefficients }, at) => {
        const slope = slopes[rowAt[at]![1]!]!;
        for (const { k, v, nearest, scale, most, rows } of coefficients) {
          const along = directionOf(p, k, basis!).reduce((sum, x, j) => sum + x * slope[j]!, 0);
          const own = lengths![at]! * along;
          const inside = Math.abs(v) < most;
          ofU.push(inside ? own : 0);
          const share =
            (Math.sign(scale) * own * (inside ? nearest - v : nearest)) / Math.sqrt(rows);
          ofScales.set(`${p} ${k}`, (ofScales.get(`${p} ${k}`) ?? 0) + share);
        }
      });
      expect(ofU).toContain(0);
      expect(gap(found[0]!, tf.tensor1d(ofU))).toBeLessThan(1e-5);
      expect(gap(found[1]!, tf.tensor1d([...ofScales.values()]))).toBeLessThan(1e-4);
    });
  });
});

test('what has trained becomes codes that are near to what training computed', async () => {
  await onBackend('cpu');
  tf.engine().startScope();
  try {
    const { dense, ...coded } = randomCodes({ ...BLOCKS, transposed: true });
    const started = startTraining(coded);
    const { storage, tensors, read } = storageOf(started);
    const target = tf.tensor2d(dense.map((row) => row.map((x, j) => x + 0.3 * Math.sin(j))));
    const loss = () => tf.sum<Scalar>(tf.square(tf.sub(storage.slice(read, 0, 16), target)));
    const first = loss().dataSync()[0]!;
    const names = ['m_u', 'm_basis', 'm_scales'];
    for (let step = 0; step < 10; step++) {
      const gradients = tf.grads((...given) => {
        given.forEach((each, i) => tensors.set(names[i]!, each as Tensor1D));
        return loss();
      })(names.map(read));
      names.forEach((name, i) => {
        tensors.set(name, tf.sub<Tensor1D>(read(name), tf.mul(gradients[i]!, 0.006)));
      });
    }
    expect(loss().dataSync()[0]!).toBeLessThan(0.8 * first);
    const weights = Object.fromEntries(
      [...tensors].map(([name, value]) => [name.slice(2), value.dataSync()]),
    );
    const { data, rows, columns } = expandCodes(
      await finishTraining({ ...started, weights } as TrainingMatrix),
    );
    expect(gap(tf.tensor2d(data, [rows, columns]), storage.slice(read, 0, 16))).toBeLessThan(0.012);
  } finally {
    tf.engine().endScope();
  }
});

test('weights that are not finite are refused', async () => {
  const { weights, ...rest } = startTraining(randomCodes(BLOCKS));
  const u = Float32Array.from(weights.u!, (x, i) => (i === 3 ? NaN : x));
  await expect(finishTraining({ ...rest, weights: { ...weights, u } })).rejects.toThrow(
    /number 3 of 'u'.*block-codes\/not-finite/,
  );
});
