import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keyedRng } from '@espalier/core';
import { writeNpy } from '@espalier/formats/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OURS } from '../bench/embeddings-ours.js';
import { prepareMatrices } from '../bench/embeddings/data.js';
import { budgetOf, HEADER_BYTES } from '../bench/embeddings/methods.js';
import { parseEmbeddingsOptions } from '../bench/embeddings/options.js';
import { PEERS } from '../bench/embeddings/peers.js';
import { python, runPython } from './python.js';

const GLOVE = { rows: 341_479, columns: 100 };
const settingOf = (name: string, ratio: number, shape = GLOVE) =>
  [...PEERS, ...OURS].find((method) => method.name === name)!.choose({ ...shape, ratio });

describe('the setting for a number of bytes', () => {
  test('is the largest that fits, header and tables counted', () => {
    expect(settingOf('NumPy SVD, 8 bits', 32)).toEqual({ rank: 10 });
    expect(settingOf('faiss PQ', 32)).toEqual({ parts: 12, bits: 8 });
    const bytes = (parts: number) => GLOVE.rows * parts + 2 * 256 * 100 + HEADER_BYTES;
    expect(bytes(12)).toBeLessThanOrEqual(budgetOf({ ...GLOVE, ratio: 32 }));
    expect(bytes(13)).toBeGreaterThan(budgetOf({ ...GLOVE, ratio: 32 }));
  });

  test('is none where nothing fits', () => {
    expect(settingOf('faiss RQ', 32, { rows: 300, columns: 100 })).toBeUndefined();
  });

  test('of plain rows is in the size next to theirs only', () => {
    expect([4, 8, 16].map((ratio) => settingOf('NumPy rows, 8 bits', ratio))).toEqual([
      { bits: 8 },
      undefined,
      undefined,
    ]);
  });

  test('has tables of 16 where those of 256 take much', () => {
    expect(settingOf('faiss PQ, 4-bit', 32)).toBeUndefined();
    expect(settingOf('faiss PQ, 4-bit', 32, { rows: 10_000, columns: 200 })).toEqual({
      parts: 48,
      bits: 4,
    });
  });
});

const [ROWS, COLUMNS] = [400, 8];
const draw = keyedRng(0, 'embeddings bench');
const matrix = Float32Array.from({ length: ROWS * COLUMNS }, () => draw() - 0.5);
const counts = Array.from({ length: ROWS }, (_, i) => (i % 3 === 0 ? 1000 - i : 1));

let dir = '';
const at = (name: string) => join(dir, name);
const write = (name: string, data: Float32Array) =>
  writeNpy(at(name), {
    name,
    shape: [ROWS, COLUMNS],
    readRows: async (begin, end) => data.slice(begin * COLUMNS, end * COLUMNS),
  });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'espalier-embeddings-test-'));
  await write('small.npy', matrix);
  writeFileSync(at('counts.json'), JSON.stringify(counts));
});
afterAll(() => rmSync(dir, { recursive: true }));

interface Measured {
  readonly error: number;
  readonly weighted: number;
  readonly all: { readonly mean: number; readonly error: number };
  readonly top: { readonly mean: number };
}

describe.skipIf(!python)('the measures', () => {
  /** Asks all odd rows. */
  async function measure(decoded: Float32Array): Promise<Measured> {
    await write('decoded.npy', decoded);
    const files = {
      matrix: at('small.npy'),
      counts: at('counts.json'),
      decoded: at('decoded.npy'),
    };
    const request = { ...files, cache: at('truth.npy'), queries: ROWS, half: 'odd', seed: 0 };
    return runPython('../bench/embeddings/measure.py', JSON.stringify(request)) as Measured;
  }

  test('are those of a slow count', async () => {
    const decoded = matrix.map((x) => x + 0.3 * (draw() - 0.5));
    const { all, top, error, weighted } = await measure(decoded);
    const kept = Array.from({ length: ROWS / 2 }, (_, i) => countKept(decoded, 2 * i + 1) / 10);
    const mean = kept.reduce((a, b) => a + b) / kept.length;
    expect(mean).toBeGreaterThan(0.2);
    expect(mean).toBeLessThan(0.9);
    expect(all.mean).toBeCloseTo(mean, 10);
    expect(top.mean).toBeCloseTo(mean, 10); // all rows are among the 5 000 most frequent
    const tenths = Array.from({ length: 10 }, (_, i) => variance(kept.slice(20 * i, 20 * i + 20)));
    expect(all.error).toBeCloseTo(Math.sqrt(tenths.reduce((a, b) => a + b / 20, 0)) / 10, 10);
    expect(error).toBeCloseTo(
      relativeError(decoded, () => 1),
      6,
    );
    expect(weighted).toBeCloseTo(
      relativeError(decoded, (row) => counts[row]!),
      6,
    );
  });

  test('give rows that are all alike the share of chance', async () => {
    const { all, error } = await measure(new Float32Array(matrix.length));
    expect(all.mean).toBeCloseTo(10 / (ROWS - 1), 10);
    expect(error).toBe(1);
  });
});

function countKept(decoded: Float32Array, row: number): number {
  const nearest = findNearest(decoded, row);
  return findNearest(matrix, row).filter((each) => nearest.includes(each)).length;
}

function findNearest(data: Float32Array, row: number): readonly number[] {
  const others = Array.from({ length: ROWS }, (_, i) => i).filter((i) => i !== row);
  const cosines = others.map((other) => {
    const length = Math.sqrt(dot(data, other, other) * dot(data, row, row));
    return { other, cosine: dot(data, row, other) / length };
  });
  const sorted = cosines.sort((a, b) => b.cosine - a.cosine);
  return sorted.slice(0, 10).map(({ other }) => other);
}

function dot(data: Float32Array, a: number, b: number): number {
  let sum = 0;
  for (let j = 0; j < COLUMNS; j++) sum += data[a * COLUMNS + j]! * data[b * COLUMNS + j]!;
  return sum;
}

function variance(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}

function relativeError(decoded: Float32Array, weightOf: (row: number) => number): number {
  let [error, norm] = [0, 0];
  matrix.forEach((x, i) => {
    const weight = weightOf(Math.floor(i / COLUMNS));
    error += weight * (x - decoded[i]!) ** 2;
    norm += weight * x ** 2;
  });
  return Math.sqrt(error / norm);
}

describe.skipIf(!python)('the bench', () => {
  const runBench = (...more: readonly string[]) => {
    const main = fileURLToPath(new URL('../dist/bench/main.js', import.meta.url));
    const given = ['--vectors', at('small.npy'), '--counts', at('counts.json')];
    const places = ['--cache', at('cache'), '--out', at('rows.jsonl')];
    const args = [main, 'embeddings', ...given, ...places, '--queries', '100', ...more];
    return spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...process.env, PYTHON: python },
    });
  };
  const readRows = () => readFileSync(at('rows.jsonl'), 'utf8').trim().split('\n');
  const chosen = ['--sizes', '5', '--rows', 'NumPy SVD,our PQ'];

  test('compresses in processes, and goes on where it was stopped', () => {
    const { stdout, stderr } = runBench(...chosen);
    expect(stderr).not.toMatch(/failed|Error/);
    expect(stdout).toContain('small, 5×');
    const whole = readRows();
    const rows = whole.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(rows.map(({ method }) => method)).toEqual(['NumPy SVD, 8 bits', 'our PQ, 4-bit']);
    const [svd, ours] = rows;
    expect(svd).toMatchObject({ setting: { rank: 3 }, bytes: 400 * 5 + 3 * 10 + HEADER_BYTES });
    const tables = 4 * 16 * COLUMNS;
    expect(ours).toMatchObject({ bytes: (400 * 8) / 2 + tables + HEADER_BYTES });
    writeFileSync(at('rows.jsonl'), `${whole[0]}\n${whole[1]!.slice(0, 40)}`);
    runBench(...chosen);
    expect(readRows()[0]).toBe(whole[0]);
    expect(JSON.parse(readRows()[1]!)).toMatchObject({ bytes: ours!['bytes'], all: ours!['all'] });
  });
});

describe('what it cannot take is refused by name', () => {
  const numbers = { sizes: '4', queries: '100', seed: '0' };
  const values = { ...numbers, rows: '', half: 'odd', out: '', cache: '', report: false };
  test.each([
    [{ rows: 'QP' }, "no row has 'qp' in its name. Rows: 'faiss PQ'"],
    [{ sizes: '4,small' }, "--sizes needs numbers of at least 1, not 'small'"],
    [{ half: 'left' }, "not 'left'"],
    [{ counts: 'counts.json' }, '--counts needs --vectors'],
  ])('%o', (given, message) => {
    const methods = PEERS.filter(({ name }) => name === 'faiss PQ');
    expect(() => parseEmbeddingsOptions({ ...values, ...given }, methods)).toThrow(message);
  });

  test('counts of other rows', async () => {
    writeFileSync(at('short.json'), '[1, 2]');
    const given = { vectors: at('small.npy'), counts: at('short.json'), data: undefined };
    const prepared = prepareMatrices({ ...given, cache: at('refused') });
    await expect(prepared).rejects.toThrow('2 counts for 400 rows');
  });
});
