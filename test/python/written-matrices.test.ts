import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyedRng } from '@espalier/core';
import { writeNpy, writeSafetensors, writeVectors } from '@espalier/formats/node';
import type { RowSource } from '@espalier/formats/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { python, runPython } from './python.js';

const [ROWS, COLUMNS] = [500, 7];
const draw = keyedRng(0, 'written-matrices');
/** Numbers of every size, as bits drawn at random; no NaN and no infinity. */
const data = Float32Array.from({ length: ROWS * COLUMNS }, () => {
  const bits = Math.floor(draw() * 2 ** 32);
  const [value] = new Float32Array(Uint32Array.of(bits).buffer);
  return Number.isFinite(value) ? value! : draw() - 0.5;
});
const matrix: RowSource = {
  name: 'words.weight',
  shape: [ROWS, COLUMNS],
  readRows: async (begin, end) => data.slice(begin * COLUMNS, end * COLUMNS),
};
const words = Array.from({ length: ROWS }, (_, i) => `wörd-${i}`);
const sha256 = createHash('sha256').update(new Uint8Array(data.buffer)).digest('hex');
const expected = ['float32', [ROWS, COLUMNS], sha256];

let dir = '';
const at = (name: string) => join(dir, name);
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'espalier-written-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe.skipIf(!python)('Python reads bit for bit', () => {
  test('.npy', async () => {
    await writeNpy(at('a.npy'), matrix);
    const read = runPython('./read_matrices.py', at('a.npy'));
    expect(read).toEqual({ tensors: { '': expected }, words: null });
  });

  test('safetensors, with tensors of other types', async () => {
    const ids = { name: 'ids', dtype: 'I64', shape: [1], data: BigInt64Array.of(-5n) } as const;
    await writeSafetensors(at('a.safetensors'), [matrix, ids]);
    const { tensors } = runPython('./read_matrices.py', at('a.safetensors')) as {
      tensors: Record<string, unknown[]>;
    };
    expect(tensors['words.weight']).toEqual(expected);
    expect(tensors['ids']!.slice(0, 2)).toEqual(['int64', [1]]);
  });

  test('.vec, with its words', async () => {
    await writeVectors(at('a.vec'), matrix, words);
    const read = runPython('./read_matrices.py', at('a.vec'));
    expect(read).toEqual({ tensors: { '': expected }, words });
  });
});
