import { keyedRng } from '@espalier/base';
import {
  decileErrors,
  frequencyDeciles,
  neighbourOverlap,
  relativeError,
  readRows,
} from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { onBackend, tensorsLeakedBy } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';

beforeAll(() => onBackend('cpu'));

function random(rows: number, columns: number, purpose: string): Matrix {
  const draw = keyedRng(0, 'fidelity', purpose);
  return { data: Float32Array.from({ length: rows * columns }, () => draw() - 0.5), rows, columns };
}

function plus(a: Matrix, b: Matrix, share: number, from = 0): Matrix {
  const at = from * a.columns;
  return { ...a, data: a.data.map((value, i) => (i < at ? value : value + share * b.data[i]!)) };
}

const words = random(60, 5, 'words');
const noise = random(60, 5, 'noise');

describe('relativeError', () => {
  const original = { data: Float32Array.of(3, 4, 0, 1), rows: 2, columns: 2 };
  const approximated = { data: Float32Array.of(3, 1, 0, 1), rows: 2, columns: 2 };

  test.each([
    [{}, Math.sqrt(9 / 26)],
    [{ weights: [1, 100] }, Math.sqrt(9 / 125)],
    [{ rows: Int32Array.of(1) }, 0],
    [{ rows: Int32Array.of(0), weights: [7, 1] }, 3 / 5],
  ])('of %o', (of, expected) => {
    expect(relativeError(original, approximated, of)).toBeCloseTo(expected, 12);
  });

  test('of nothing is nothing', () => {
    const zeros = { ...original, data: new Float32Array(4) };
    expect(relativeError(zeros, zeros)).toBe(0);
  });
});

describe('frequencyDeciles', () => {
  test('are a permutation in ten parts, most frequent first', () => {
    const draw = keyedRng(0, 'counts');
    const counts = Array.from({ length: 57 }, () => Math.floor(draw() * 9));
    const deciles = frequencyDeciles(57, counts);
    expect(new Set(deciles.map(({ length }) => length))).toEqual(new Set([5, 6]));
    const order = deciles.flatMap((ids) => [...ids]);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 57 }, (_, i) => i));
    const falling = order.map((id) => counts[id]!);
    expect(falling).toEqual([...falling].sort((a, b) => b - a));
  });

  test('follow the ids without counts, and are fewer for fewer words', () => {
    expect(frequencyDeciles(20)[1]).toEqual(Int32Array.of(2, 3));
    expect(frequencyDeciles(3, [1, 2, 2])).toEqual(
      [[1], [2], [0]].map((ids) => Int32Array.from(ids)),
    );
  });
});

test('decileErrors puts errors where they are', () => {
  const errors = decileErrors(words, plus(words, noise, 0.3, 54), frequencyDeciles(60));
  expect(errors.slice(0, 9)).toEqual(new Array(9).fill(0));
  expect(errors[9]).toBeGreaterThan(0.1);
});

describe('neighbourOverlap', () => {
  const deciles = frequencyDeciles(60);

  test('is 1 for the matrix itself, however its rows are scaled', async () => {
    const scaled = { ...words, data: words.data.map((v, i) => v * (1 + (Math.floor(i / 5) % 7))) };
    expect(await neighbourOverlap(words, scaled, deciles)).toEqual(new Array(10).fill(1));
  });

  test('agrees with cosines sorted one by one', async () => {
    const other = plus(words, noise, 0.8);
    const nearest = ({ data }: Matrix, word: number) => {
      const row = (i: number) => [...data.subarray(i * 5, i * 5 + 5)];
      const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
      const cosine = (i: number) => dot(row(word), row(i)) / Math.sqrt(dot(row(i), row(i)));
      const others = Array.from({ length: 60 }, (_, i) => i).filter((i) => i !== word);
      return others.sort((a, b) => cosine(b) - cosine(a)).slice(0, 10);
    };
    const expected = deciles.map((ids) => {
      const shares = [...ids].map((id) => {
        const kept = nearest(words, id);
        return nearest(other, id).filter((each) => kept.includes(each)).length / 10;
      });
      return shares.reduce((sum, share) => sum + share, 0) / ids.length;
    });
    const found = await neighbourOverlap(words, other, deciles);
    found.forEach((overlap, i) => expect(overlap).toBeCloseTo(expected[i]!, 12));
    expect(Math.max(...found)).toBeLessThan(1);
  });

  test('samples the same words again, and leaves no tensors', async () => {
    const other = plus(words, noise, 1);
    const few = () => neighbourOverlap(words, other, deciles, { queries: 20, seed: 3 });
    const first = await few();
    expect(await few()).toEqual(first);
    expect(await tensorsLeakedBy(few)).toBe(0);
    expect(await neighbourOverlap(words, other, deciles, { queries: 20, seed: 4 })).not.toEqual(
      first,
    );
  });

  test('of two words is 1', async () => {
    const two = random(2, 3, 'two');
    expect(await neighbourOverlap(two, two, frequencyDeciles(2))).toEqual([1, 1]);
  });
});

describe('readRows', () => {
  test('reads plain layers, a dense one by unit', async () => {
    const embedding = tfl.layers.embedding({ inputDim: 60, outputDim: 5 });
    const dense = tfl.layers.dense({ units: 60, inputShape: [5] });
    embedding.build([null]);
    dense.build([null, 5]);
    const matrix = tf.tensor2d(words.data, [60, 5]);
    embedding.setWeights([matrix]);
    dense.setWeights([tf.transpose(matrix), tf.zeros([60])]);
    expect(await readRows(embedding, 60)).toEqual(words);
    expect(await readRows(dense, 60)).toEqual(words);
    expect(await readRows(tfl.layers.flatten(), 60)).toBeUndefined();
  });
});
