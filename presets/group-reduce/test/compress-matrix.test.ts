import { compressionReport, floorCounts, readRows, relativeError } from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { createSession, crossEntropy, sgd } from '@espalier/core';
import { compressMatrix, expandMatrix, groupReduce } from '@espalier/preset-group-reduce';
import type { CompressMatrixOptions, GroupReduceOptions } from '@espalier/preset-group-reduce';
import { onBackend, withSession } from '@espalier/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { counts, languageModel, text } from './models.js';

beforeAll(() => onBackend('cpu'));

/** Counts that are not in the order of the rows. */
const mixed = counts.map((_, i) => counts[(7 * i) % counts.length]!);

/** The embedding before and after the preset, with what the report says of its bytes. */
function byPreset(options: GroupReduceOptions) {
  const session = createSession({
    model: languageModel,
    preset: groupReduce(options),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.5 }),
    train: text(),
    backend: { prefer: ['cpu'] },
  });
  return withSession(session, async (session) => {
    const read = () => readRows(session.model.getLayer('words'), counts.length);
    const before = await read();
    await session.transform();
    const lines = compressionReport(session.inspect().edits);
    const last = lines.findLast(({ layer }) => layer === 'words')!;
    return { before: before!, after: (await read())!, bytes: last.bytesAfter };
  });
}

const largest = (a: Matrix, b: Matrix) =>
  a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);

describe('is what the preset makes of a layer', () => {
  const noCodes: GroupReduceOptions = { quantizer: false };
  const codes = (bits: 8 | 4): GroupReduceOptions => ({ quantizer: { minSize: 1, bits } });
  test.each<[string, CompressMatrixOptions, GroupReduceOptions]>([
    ['blocks', { ratio: 1.5 }, noCodes],
    ['blocks, 8 bits', { ratio: 1.5, bits: 8 }, codes(8)],
    ['blocks of equal rank, 4 bits', { rank: 3, bits: 4 }, codes(4)],
  ])('%s', async (_, { bits, ...target }, quantizer) => {
    const { before, after, bytes } = await byPreset({
      partition: { counts: mixed, blocks: 3 },
      lowRank: { layers: ['words'], ...target },
      ...quantizer,
    });
    const options = { counts: mixed, blocks: 3, ...target, ...(bits && { bits }) };
    const made = await compressMatrix(before, options as CompressMatrixOptions);
    const close = expandMatrix(made);
    expect(largest(close, after)).toBeLessThan(1e-6);
    expect(largest(close, before)).toBeGreaterThan(1e-3);
    expect(made.bytes).toBe(bytes);
    expect(made.ratio).toBeCloseTo((4 * before.data.length) / bytes, 10);
    expect(made.error).toBe(relativeError(before, close));
    const weights = floorCounts(Float64Array.from(mixed));
    expect(made.weightedError).toBe(relativeError(before, close, { weights }));
  });
});

test('without counts it is a truncated SVD of one block', async () => {
  const data = Float32Array.from(
    { length: 24 },
    (_, i) => (1 + Math.floor(i / 4)) * ((i % 4) - 1.5),
  );
  const matrix = { data, rows: 6, columns: 4 };
  const made = await compressMatrix(matrix, { rank: 1 });
  expect(made.blocks).toEqual([{ rows: 6, rank: 1 }]);
  expect(made.weightedError).toBeUndefined();
  expect(largest(expandMatrix(made), matrix)).toBeLessThan(1e-5);
  expect(made.bytes).toBe(4 * (6 + 4));
});

test('codes that would take more bytes than the numbers are left out', async () => {
  const matrix = { data: Float32Array.of(1, 2), rows: 1, columns: 2 };
  const made = await compressMatrix(matrix, { rank: 1, bits: 8 });
  expect(Object.values(made.factors).every((factor) => 'data' in factor)).toBe(true);
});

test.each<[string, CompressMatrixOptions, RegExp]>([
  [
    'a misspelt option',
    { bit: 8 } as CompressMatrixOptions,
    /compressMatrix: unknown option 'bit'/,
  ],
  [
    'bits that codes do not have',
    { rank: 1, bits: 5 as 4 },
    /8, 4, 3, 2 bits.*Received: 5.*quantizer\/bits/s,
  ],
])('%s is refused by name', async (_, options, message) => {
  const matrix = { data: new Float32Array(8).fill(1), rows: 4, columns: 2 };
  await expect(compressMatrix(matrix, options)).rejects.toThrow(message);
});

test('what is no matrix is refused by name', async () => {
  const tooFew = { data: new Float32Array(3), rows: 2, columns: 2 };
  await expect(compressMatrix(tooFew)).rejects.toThrow(/Float32Array of 3.*compression\/matrix/s);
  const list = { data: [1, 2], rows: 1, columns: 2 } as unknown as Matrix;
  await expect(compressMatrix(list)).rejects.toThrow(/Array of 2/);
});

test('counts that do not fit are refused by name', async () => {
  const matrix = { data: new Float32Array(8).fill(1), rows: 4, columns: 2 };
  await expect(compressMatrix(matrix, { counts: [1, 2] })).rejects.toThrow(
    /2 counts.*4 rows.*block-low-rank\/counts/s,
  );
});
