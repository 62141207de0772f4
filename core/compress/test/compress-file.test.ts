import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compressFile, readCounts, readInput } from '@espalier/compress/node';
import { disposeModel, encodeSafetensors, keyedRng } from '@espalier/core';
import { loadArtifact } from '@espalier/formats/node';
import { svd } from '@espalier/preset-group-reduce';
import { onBackend } from '@espalier/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';

const [WORDS, SIZE] = [100, 12];
let folder = '';
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  await onBackend('cpu');
  folder = await mkdtemp(join(tmpdir(), 'espalier-compress-file-'));
  const draw = keyedRng(0, 'compress', 'file');
  const data = Float32Array.from({ length: WORDS * SIZE }, () => draw() - 0.5);
  const tensors = [
    { name: 'words.weight', dtype: 'F32' as const, shape: [WORDS, SIZE], data },
    { name: 'norm.weight', dtype: 'F32' as const, shape: [SIZE], data: data.slice(0, SIZE) },
  ];
  await writeFile(at('model.safetensors'), encodeSafetensors(tensors));
});
afterAll(() => rm(folder, { recursive: true }));

it('writes an artifact of the size that it returns, and the tensors that no layer holds', async () => {
  const stages: string[] = [];
  const result = await compressFile(at('model.safetensors'), {
    preset: svd(),
    ratio: 2,
    layers: ['words'],
    counts: Array.from({ length: WORDS }, (_, id) => WORDS - id),
    out: at('small'),
    provenance: { ticket: 7 },
    onEvent: (event) => event.type === 'stage-end' && stages.push(event.stage),
  });
  disposeModel(result.compressed.model);
  expect(result).toMatchObject({ input: 'model.safetensors', kind: 'state dict' });
  expect(result.counts).toBe('by word id');
  expect(result.rest.tensors).toEqual([
    { name: 'norm.weight', dtype: 'F32', shape: [SIZE], isFloat: true },
  ]);
  expect(result.modules).toEqual(['@espalier/plugin-block-low-rank']);
  expect(result.fidelity.map(({ layer }) => layer)).toEqual(['words']);
  expect(stages).toEqual(['reading', 'compressing', 'measuring', 'writing']);

  const { model, manifest } = await loadArtifact(at('small'));
  disposeModel(model);
  expect(manifest.provenance).toMatchObject({ ticket: 7, input: 'model.safetensors' });
  const again = await readInput(at('small'));
  disposeModel(again.model);
  expect(again.kind).toBe('artifact');
  expect(again.bytes).toBe(result.after.total + result.rest.bytes);
  expect([...again.rest.keys()]).toEqual(['norm.weight']);
});

it('refuses a folder with something else before it reads the input', async () => {
  await mkdir(at('mine'));
  await writeFile(at('mine/diary.txt'), '');
  const compress = () => compressFile(at('nowhere'), { preset: svd(), out: at('mine') });
  await expect(compress()).rejects.toMatchObject({ code: 'compress/output' });
  expect(await readdir(at('mine'))).toEqual(['diary.txt']);
});

it('reads counts by word id in any order', async () => {
  await writeFile(at('counts.tsv'), '2\t5\n0\t9\n1\t7\n');
  expect([...(await readCounts(at('counts.tsv'))).counts]).toEqual([9, 7, 5]);
  await writeFile(at('words.tsv'), 'the\t9\nof\t7\n');
  expect(await readCounts(at('words.tsv'))).toMatchObject({ words: ['the', 'of'] });
});
