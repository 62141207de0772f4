import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyedRng } from '@espalier/core';
import { openMatrices, readMatrices } from '@espalier/formats/node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from './in-process.js';

const [WORDS, SIZE] = [150, 8];
let folder = '';
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-decompress-'));
  const draw = keyedRng(0, 'decompress');
  const lines = Array.from({ length: WORDS }, (_, i) => {
    const vector = Array.from({ length: SIZE }, () => (draw() - 0.5).toFixed(4));
    return `word${i} ${vector.join(' ')}\n`;
  });
  await writeFile(at('glove.txt'), lines.join(''));
});
afterAll(() => rm(folder, { recursive: true }));

it('compresses a text of vectors without counts, and gives it back with its words', async () => {
  const flags = ['--preset', 'quantize-only', '--quiet'];
  const compressed = await run('compress', at('glove.txt'), '--out', at('small'), ...flags);
  expect(compressed).toMatchObject({ code: 0, stderr: '' });
  expect(compressed.stdout).toMatch(/^words +[\d,]+ +[\d,]+ +1\.00\s*×/m);
  const back = await run('decompress', at('small'), '--out', at('back.vec'), '--quiet');
  expect(back).toEqual({
    code: 0,
    stdout: `${at('back.vec')}: glove [${WORDS}, ${SIZE}], float32\n`,
    stderr: '',
  });
  const file = await openMatrices(at('back.vec'));
  expect(file.words?.slice(0, 2)).toEqual(['word0', 'word1']);
  await file.close();
});

it('changes one format into another, and says what is left out', async () => {
  const ended = await run('decompress', at('glove.txt'), '--out', at('glove.npy'), '--quiet');
  expect(ended.stdout).toMatch(/glove\.npy: glove \[150, 8\], float32\nleft out: the words\n$/);
  const [before, after] = [
    await readMatrices(at('glove.txt')),
    await readMatrices(at('glove.npy')),
  ];
  expect(after).toEqual(before);
});

it('names its options in errors', async () => {
  const ended = await run('decompress', at('glove.txt'), '--out', at('glove.bin'), '--quiet');
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toMatch(
    /\.bin are not written.*The options are --out, --words and --layers/,
  );
  expect((await run('decompress', at('glove.txt'))).code).toBe(2);
});
