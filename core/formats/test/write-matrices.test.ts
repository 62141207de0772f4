import type * as fs from 'node:fs/promises';
import { readdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { decodeSafetensors } from '@espalier/checkpoint';
import { decodeNpy } from '@espalier/formats';
import {
  openMatrices,
  readMatrices,
  writeNpy,
  writeSafetensors,
  writeVectors,
} from '@espalier/formats/node';
import type { RowSource } from '@espalier/formats/node';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { useFolder } from './scratch.js';

const folder = useFolder();

function matrixOf(data: Float32Array, columns: number, name = 'words'): RowSource {
  const readRows = async (begin: number, end: number) => data.slice(begin * columns, end * columns);
  return { name, shape: [data.length / columns, columns], readRows };
}

const finite = fc.float({ noNaN: true, noDefaultInfinity: true });
const word = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
  .filter((text) => !/[ \t\r\n\ufeff]/.test(text) && !/\p{Cs}/u.test(text));
const vectors = fc
  .record({
    words: fc.uniqueArray(word, { minLength: 1, maxLength: 6 }),
    columns: fc.integer({ min: 2, max: 5 }),
  })
  .chain(({ words, columns }) => {
    const size = words.length * columns;
    const values = fc.array(finite, { minLength: size, maxLength: size });
    return values.map((data) => ({ words, columns, data: Float32Array.from(data) }));
  });

test('what is written is read back bit for bit', () =>
  fc.assert(
    fc.asyncProperty(vectors, async ({ words, columns, data }) => {
      const matrix = matrixOf(data, columns);
      const tensor = { dtype: 'F32', shape: [words.length, columns], data };
      const path = (extension: string) => folder.at(`words.${extension}`);
      await writeNpy(path('npy'), matrix);
      await writeSafetensors(path('safetensors'), [matrix]);
      await writeVectors(path('vec'), matrix, words);
      for (const extension of ['npy', 'safetensors', 'vec']) {
        expect((await readMatrices(path(extension))).get('words')).toEqual(tensor);
      }
      expect(decodeNpy(await readFile(path('npy')))).toEqual(tensor);
      expect(decodeSafetensors(await readFile(path('safetensors'))).tensors.get('words')).toEqual(
        tensor,
      );
      const file = await openMatrices(path('vec'));
      expect(file.words).toEqual(words);
      await file.close();
    }),
    { seed: 1, numRuns: 30 },
  ));

test('numbers of a text are those of Number and Math.fround, whatever their form', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 24 });
  const number = fc
    .tuple(
      fc.constantFrom('', '-', '+'),
      digits,
      fc.option(digits),
      fc.option(fc.integer({ min: -30, max: 8 })),
    )
    .map(
      ([sign, whole, part, e]) =>
        `${sign}${whole}${part === null ? '' : `.${part}`}${e === null ? '' : `e${e}`}`,
    )
    .filter((text) => Number.isFinite(Math.fround(Number(text))));
  return fc.assert(
    fc.asyncProperty(fc.array(number, { minLength: 2, maxLength: 20 }), async (numbers) => {
      const path = await folder.write('numbers.txt', `w ${numbers.join(' ')}\n`);
      const expected = Float32Array.from(numbers, Number);
      expect((await readMatrices(path)).get('numbers')!.data).toEqual(expected);
    }),
    { seed: 2, numRuns: 50 },
  );
});

test('a short number stays short', async () => {
  const data = Float32Array.of(0.12345, -3, 1e-7, -0, 16777216);
  await writeVectors(folder.at('short.vec'), matrixOf(data, 5), ['a']);
  expect(await readFile(folder.at('short.vec'), 'utf8')).toBe(
    '1 5\na 0.12345 -3 1e-7 -0 16777216\n',
  );
});

test('several tensors, other types among them, rows in groups', async () => {
  const data = Float32Array.from({ length: 3 * 2 ** 20 }, (_, i) => i);
  const half = { name: 'half', dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c00) } as const;
  const told: number[] = [];
  const onProgress = ({ done }: { done: number }) => told.push(done);
  await writeSafetensors(folder.at('many.safetensors'), [half, matrixOf(data, 2 ** 19)], {
    onProgress,
  });
  const tensors = await readMatrices(folder.at('many.safetensors'));
  const { buffer } = tensors.get('words')!.data;
  expect(Buffer.from(buffer).equals(Buffer.from(data.buffer))).toBe(true);
  expect(tensors.get('half')!.data).toEqual(half.data);
  expect(told).toEqual([2, 4, 6]);
});

describe('refuses', () => {
  const two = matrixOf(Float32Array.of(1, 2, 3, 4), 2);
  test.each<[string, RowSource, string[], RegExp]>([
    ['a word with blanks', two, ['a', 'new york'], /blank in it.*'new york'/],
    ['an empty word', two, ['a', ''], /word 1 is empty/],
    ['a word twice', two, ['a', 'a'], /word 1 is there twice/],
    ['too few words', two, ['a'], /one word for each of the 2 rows/],
    ['NaN', matrixOf(Float32Array.of(1, NaN), 2), ['a'], /'a' has numbers that are not finite/],
  ])('%s', async (_what, matrix, words, message) => {
    const path = folder.at('refused.vec');
    await expect(writeVectors(path, matrix, words)).rejects.toMatchObject({
      code: 'matrices/vec',
      message: expect.stringMatching(message),
    });
    expect(await readdir(dirname(path))).not.toContain('refused.vec');
  });

  test('rows of another length', async () => {
    const wrong = { ...two, shape: [2, 3] };
    await expect(writeNpy(folder.at('wrong.npy'), wrong)).rejects.toMatchObject({
      code: 'matrices/write',
    });
  });
});

test('a disk that is full leaves the old file, and nothing else', async () => {
  const path = folder.at('old.npy');
  await writeNpy(path, matrixOf(Float32Array.of(1), 1));
  const before = [await readFile(path), await readdir(dirname(path))];
  let writes = 0;
  const write = async (file: fs.FileHandle, bytes: Uint8Array) => {
    if (++writes > 1) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    await file.writeFile(bytes);
  };
  const writing = writeNpy(path, matrixOf(Float32Array.of(2), 1), { files: { write } });
  await expect(writing).rejects.toMatchObject({
    code: 'matrices/write',
    message: expect.stringMatching(/disk is full/),
  });
  expect([await readFile(path), await readdir(dirname(path))]).toEqual(before);
});
