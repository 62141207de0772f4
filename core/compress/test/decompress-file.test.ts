import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compressFile, decompressFile, readInput } from '@espalier/compress/node';
import type { DecompressFileOptions } from '@espalier/compress/node';
import { disposeModel, encodeSafetensors, keyedRng } from '@espalier/core';
import { toFloat32 } from '@espalier/formats';
import { openMatrices, readMatrices, readModelFolder } from '@espalier/formats/node';
import { quantizeOnly } from '@espalier/preset-group-reduce';
import { onBackend, tensorsLeakedBy } from '@espalier/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const [WORDS, SIZE] = [130, 8];
let folder = '';
const at = (name: string) => join(folder, name);
const draw = keyedRng(0, 'decompress');
const numbers = (size: number) => Float32Array.from({ length: size }, () => draw() - 0.5);
const words = Array.from({ length: WORDS }, (_, i) => `wörd${i}`);
const vectors = numbers(WORDS * SIZE);

async function compress(input: string, out: string): Promise<void> {
  const { compressed } = await compressFile(at(input), {
    preset: quantizeOnly(),
    bits: 8,
    out: at(out),
  });
  disposeModel(compressed.model);
}

beforeAll(async () => {
  await onBackend('cpu');
  folder = await mkdtemp(join(tmpdir(), 'espalier-decompress-'));
  const lines = words.map(
    (word, i) => `${word} ${vectors.slice(i * SIZE, (i + 1) * SIZE).join(' ')}`,
  );
  await writeFile(at('glove.txt'), `${lines.join('\n')}\n`);
  const tensor = (name: string, ...shape: number[]) => {
    return { name, dtype: 'F32' as const, shape, data: numbers(shape.reduce((a, b) => a * b)) };
  };
  const softmax = [tensor('softmax.weight', WORDS, SIZE), tensor('softmax.bias', WORDS)];
  const language = [
    tensor('embedding.weight', WORDS, SIZE),
    ...softmax,
    tensor('norm.weight', SIZE),
  ];
  await writeFile(at('lm.safetensors'), encodeSafetensors(language));
  await compress('glove.txt', 'small');
  await compress('lm.safetensors', 'small-lm');
});
afterAll(() => rm(folder, { recursive: true }));

/** ‖a − b‖ / ‖b‖ */
function relativeError(a: Float32Array, b: Float32Array): number {
  const norm = (values: Float32Array) => Math.hypot(...values);
  return norm(a.map((value, i) => value - b[i]!)) / norm(b);
}

describe('vectors with words', () => {
  it('keep their words in the artifact, and come back with them', async () => {
    const result = await decompressFile(at('small'), { out: at('back.vec') });
    expect(result).toEqual({
      out: at('back.vec'),
      format: 'vec',
      matrices: [{ name: 'glove', shape: [WORDS, SIZE] }],
      leftOut: [],
    });
    const file = await openMatrices(at('back.vec'));
    expect(file.words).toEqual(words);
    const back = await file.tensors.get('back')!.readRows(0, WORDS);
    await file.close();
    expect(relativeError(back, vectors)).toBeLessThan(0.01);
    expect(relativeError(back, vectors)).toBeGreaterThan(0);

    await decompressFile(at('small'), { out: at('back.npy') });
    expect((await readMatrices(at('back.npy'))).get('back')!.data).toEqual(back);
  });

  it('take other words from a file', async () => {
    const others = words.map((word) => word.toUpperCase());
    await writeFile(at('words.txt'), others.join('\r\n'));
    await decompressFile(at('small'), { out: at('other.vec'), words: at('words.txt') });
    const again = await readInput(at('other.vec'));
    disposeModel(again.model);
    expect(again.words).toEqual(others);
  });
});

it('all matrices, biases and unchanged tensors become a state dict', async () => {
  const leaked = await tensorsLeakedBy(async () => {
    await decompressFile(at('small-lm'), { out: at('back.safetensors') });
  });
  expect(leaked).toBe(0);
  const before = await readMatrices(at('lm.safetensors'));
  const after = await readMatrices(at('back.safetensors'));
  expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
  for (const [name, tensor] of before) {
    expect(after.get(name)!.shape).toEqual(tensor.shape);
    expect(relativeError(toFloat32(after.get(name)!), toFloat32(tensor))).toBeLessThan(0.01);
  }
  expect(after.get('norm.weight')).toEqual(before.get('norm.weight'));
  expect(after.get('softmax.bias')).toEqual(before.get('softmax.bias'));
});

it('one layer of several can be chosen, and what is left out is told', async () => {
  const options = { out: at('softmax.npy'), layers: ['softmax'] };
  const { leftOut } = await decompressFile(at('small-lm'), options);
  expect(leftOut).toEqual(['softmax.bias']);
  expect((await readMatrices(at('softmax.npy'))).get('softmax')!.shape).toEqual([WORDS, SIZE]);
});

it('a folder holds ordinary layers, unchanged tensors and words', async () => {
  await decompressFile(at('small-lm'), { out: at('plain') });
  const model = await readModelFolder(at('plain'));
  const classes = model.layers.map((layer) => layer.getClassName());
  disposeModel(model);
  expect(classes).toEqual(expect.arrayContaining(['Embedding', 'Dense']));
  expect(classes.join()).not.toMatch(/Stored/);
  expect(await readdir(at('plain'))).toContain('rest.safetensors');
  await decompressFile(at('small'), { out: at('plain') });
  expect(await readdir(at('plain'))).not.toContain('rest.safetensors');
  expect(JSON.parse(await readFile(at('plain/words.json'), 'utf8'))).toEqual(words);
});

describe('refuses', () => {
  it.each<[string, string, Omit<DecompressFileOptions, 'out'> & { out: string }, string, RegExp]>([
    ['another extension', 'small', { out: 'x.bin' }, 'compress/dense', /\.bin are not written/],
    ['words for .npy', 'small', { out: 'x.npy', words: 'w' }, 'compress/dense', /only \.vec/],
    ['layers for a folder', 'small', { out: 'x', layers: ['a'] }, 'compress/dense', /whole model/],
    ['several matrices', 'small-lm', { out: 'x.npy' }, 'compress/dense', /embedding.*softmax/],
    ['no words', 'small-lm', { out: 'x.vec', layers: ['softmax'] }, 'compress/dense', /no words/],
    [
      'an unknown layer',
      'small-lm',
      { out: 'x.npy', layers: ['sofmax'] },
      'compress/layers',
      /Did you mean 'softmax'/,
    ],
    ['the input', 'small', { out: 'small' }, 'compress/output', /take the place of the input/],
    [
      'a folder in place of a file',
      'small',
      { out: 'taken.npy' },
      'compress/output',
      /is a folder/,
    ],
    ['a folder of other files', 'small', { out: 'taken.npy/' }, 'compress/output', /not a model/],
  ])('%s', async (_what, input, { out, ...options }, code, message) => {
    await mkdir(at('taken.npy'), { recursive: true });
    await writeFile(at('taken.npy/diary'), '');
    const running = decompressFile(at(input), { out: at(out), ...options });
    await expect(running).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await readdir(folder)).not.toContain('x.npy');
  });
});
