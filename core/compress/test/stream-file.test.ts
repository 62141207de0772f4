import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensorsHeader } from '@espalier/checkpoint';
import {
  compressModel,
  listArtifactPlugins,
  listModules,
  measureFidelity,
} from '@espalier/compress';
import { compressFile, readInput } from '@espalier/compress/node';
import type { CompressFileOptions } from '@espalier/compress/node';
import { disposeModel, encodeSafetensors, keyedRng } from '@espalier/core';
import { claimPlace, makeFolder } from '@espalier/core/node';
import { countBytes, encodeNpy, packArtifact } from '@espalier/formats';
import { blockCodes, quantizeOnly } from '@espalier/preset-group-reduce';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

const [WORDS, SIZE] = [3200, 16]; // as few numbers as the preset codes
const counts = Array.from({ length: WORDS }, (_, id) =>
  Math.ceil(90_000 / (((7 * id) % WORDS) + 1)),
);
let folder = '';
const at = (name: string) => join(folder, name);

/** Columns of falling scale. */
function draw(rows: number, purpose: string): Float32Array {
  const next = keyedRng(0, 'stream', purpose);
  return Float32Array.from({ length: rows * SIZE }, (_, i) => (next() - 0.5) / (1 + (i % SIZE)));
}

beforeAll(async () => {
  await onBackend('wasm');
  folder = await mkdtemp(join(tmpdir(), 'espalier-stream-'));
  const tensor = { dtype: 'F32' as const, shape: [WORDS, SIZE], data: draw(WORDS, 'words') };
  await writeFile(at('words.npy'), encodeNpy(tensor));
  const norm = { dtype: 'F32' as const, shape: [SIZE], data: draw(1, 'norm') };
  const tensors = [
    { name: 'words.weight', ...tensor },
    { name: 'norm.weight', ...norm },
    { name: 'small.embedding.weight', ...norm, shape: [2, SIZE / 2] },
  ];
  await writeFile(at('model.safetensors'), encodeSafetensors(tensors));
});
afterAll(() => rm(folder, { recursive: true }));

const read = async (out: string) => {
  const names = (await readdir(at(out))).sort();
  return Promise.all(
    names.map(async (name) => [name, await readFile(join(at(out), name))] as const),
  );
};

async function compress(input: string, out: string, options: Partial<CompressFileOptions> = {}) {
  const result = await compressFile(at(input), {
    preset: blockCodes(),
    ratio: 6,
    counts,
    out: at(out),
    ...options,
  });
  disposeModel(result.compressed.model);
  return result;
}

it.each(['words.npy', 'model.safetensors'])(
  'a matrix of %s that is read some rows at a time becomes what it becomes in memory, byte by byte',
  async (name) => {
    const { numTensors } = tf.memory();
    const streamed = await compress(name, `small-${name}`);
    expect(tf.memory().numTensors).toBe(numTensors);

    const input = await readInput(at(name));
    const compressed = await compressModel(input.model, { preset: blockCodes(), ratio: 6, counts });
    const fidelity = await measureFidelity({ original: input.model, compressed, counts });
    const { model, inspection, steps } = compressed;
    const files = await packArtifact({
      model,
      edits: inspection.edits,
      plugins: listArtifactPlugins(compressed),
      provenance: { input: name, preset: inspection.manifest.hash },
    });
    const before = countBytes(await packArtifact({ model: input.model }));
    disposeModel(model);
    disposeModel(input.model);

    const written = (await read(`small-${name}`)).filter(([file]) => file !== 'rest.safetensors');
    expect(written.map(([file]) => file)).toEqual([...files.keys()].sort());
    for (const [file, bytes] of written) expect(bytes.equals(files.get(file)!)).toBe(true);
    expect(streamed).toMatchObject({
      ...{ before, fidelity, after: countBytes(files), counts: 'by word id' },
      modules: listModules(compressed),
      compressed: { steps, leftOut: [] },
    });
    const { edits, manifest, backend } = inspection;
    expect(streamed.compressed.inspection).toMatchObject({ edits, manifest, backend });
    expect((await readdir(folder)).some((each) => each.endsWith('.unfinished'))).toBe(false);
  },
);

const vectors = (words: readonly string[]) =>
  words.map((word, i) => `${word} ${[i % 7, i % 5, 1].join(' ')}\n`).join('');

it('is refused while another run has its folder of unfinished work', async () => {
  const words = Array.from({ length: 40 }, (_, i) => `word${i}`);
  await writeFile(at('mine.vec.txt'), vectors(words));
  const unfinished = at('twice.unfinished');
  makeFolder(unfinished);
  const claim = claimPlace(unfinished);
  const again = () =>
    compress('mine.vec.txt', 'twice', { layers: ['mine.vec'], ratio: 2, counts: undefined });
  await expect(again()).rejects.toMatchObject({ code: 'place/in-use' });
  expect(await readdir(unfinished)).toEqual(['.owner.json']);
  claim.release();
  await again();
  expect(await readdir(folder)).not.toContain('twice.unfinished');
});

it('matches counts with the words of the input, and says how many', async () => {
  const words = Array.from({ length: 40 }, (_, i) => `word${i}`);
  await writeFile(at('words.vec.txt'), vectors(words));
  await writeFile(at('counts.tsv'), 'nowhere\t9\nword7\t500\nword3\t20\n');
  const options = { layers: ['words.vec'], ratio: 2, counts: at('counts.tsv') };
  const matched = await compress('words.vec.txt', 'matched', options);
  expect(matched.counts).toBe('by word');
  expect(matched.matched).toEqual({ counted: 2, rows: 40, unknown: 1 });
  const byRow = words.map((_, i) => ({ 7: 500, 3: 20 })[i] ?? 0);
  const ordered = await compress('words.vec.txt', 'ordered', { ...options, counts: byRow });
  expect(matched.fidelity).toEqual(ordered.fidelity);

  await writeFile(at('others.tsv'), 'un\t9\ndeux\t5\n');
  await expect(
    compress('words.vec.txt', 'refused', { ...options, counts: at('others.tsv') }),
  ).rejects.toMatchObject({ code: 'compress/counts' });
});

it('names file, row and column of a number that is not finite', async () => {
  const data = draw(WORDS, 'words');
  data[70 * SIZE + 3] = NaN;
  await writeFile(at('broken.npy'), encodeNpy({ dtype: 'F32', shape: [WORDS, SIZE], data }));
  await expect(compress('broken.npy', 'none')).rejects.toMatchObject({
    code: 'block-codes/not-finite',
    message: expect.stringMatching(/broken\.npy.* row 70, column 3/) as string,
  });
});

it('refuses a matrix that memory cannot hold, where all of it would have to be there', async () => {
  const rows = 2 ** 20;
  const header = encodeSafetensorsHeader([
    { name: 'big.weight', dtype: 'BF16', shape: [rows, 1024] },
  ]);
  await writeFile(at('big.safetensors'), header);
  await truncate(at('big.safetensors'), header.length + 2 * 1024 * rows); // a hole, no bytes on disk
  const options = { preset: quantizeOnly(), ratio: undefined, counts: undefined };
  await expect(compress('big.safetensors', 'none', options)).rejects.toMatchObject({
    code: 'compress/too-large',
    message: expect.stringContaining('big.weight') as string,
  });
});

it('tells that numbers of the input take two bytes', async () => {
  const data = Uint16Array.from({ length: WORDS * SIZE }, (_, i) => 0x3800 + (i % 900));
  const half = encodeSafetensors([{ name: 'words', dtype: 'F16', shape: [WORDS, SIZE], data }]);
  await writeFile(at('half.safetensors'), half);
  expect(await compress('half.safetensors', 'halves')).toMatchObject({ elementBytes: 2 });
});
