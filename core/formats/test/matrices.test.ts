import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EspalierError } from '@espalier/base';
import { encodeNpy } from '@espalier/formats';
import { readMatrices } from '@espalier/formats/node';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { broken } from './broken.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'espalier-matrices-'));
});
afterAll(() => rm(dir, { recursive: true }));

const golden = (name: string) => readFileSync(new URL(`./golden/${name}`, import.meta.url));
const npy = encodeNpy({ dtype: 'F32', shape: [2, 1], data: Float32Array.of(1, 2) });
const read = async (name: string, bytes: Uint8Array) => {
  const path = join(dir, name);
  await writeFile(path, bytes);
  return readMatrices(path);
};

test('tells the formats apart by content', async () => {
  const tensors = await read('linear.bin', golden('linear.safetensors'));
  expect([...tensors.keys()].sort()).toEqual(['bias', 'weight']);
  expect(await read('glove.100d.npy', npy)).toEqual(
    new Map([['glove.100d', { dtype: 'F32', shape: [2, 1], data: Float32Array.of(1, 2) }]]),
  );
});

describe('refuses', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /empty/],
    ['text', Buffer.from('Dear reader,\nhello'), /no word with its vector/],
    ['counts', Buffer.from('the 5000\nof 4000\n'), /look like counts/],
    ['a pickle', Buffer.from('\x80\x02pickle', 'latin1'), /pickle/],
    ['HDF5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), /HDF5/],
    ['GGUF', Buffer.from('GGUF\x03\0\0\0', 'latin1'), /GGUF file of llama/],
    ['ONNX', Buffer.from('\x08\x08\x12\x07pytorch', 'latin1'), /ONNX/],
    ['fastText', Buffer.from('\xba\x16\x4f\x2f\x0c\0\0\0', 'latin1'), /fastText.*\.vec/],
    ['gzip', Buffer.from('\x1f\x8b\x08', 'latin1'), /gunzip/],
    [
      'a pointer of Git LFS',
      Buffer.from('version https://git-lfs.github.com/spec/v1\n'),
      /git lfs pull/,
    ],
    ['a web page', Buffer.from('<!DOCTYPE html>'), /download failed/],
    ['CSV', Buffer.from('0.1,0.2,3e-3\n0.1,0.2,0.3\n'), /loadtxt/],
    ['JSON', Buffer.from('{"weights": {}}'), /JSON/],
    ['UTF-16', Buffer.from('\xff\xfet\0', 'latin1'), /UTF-16/],
    ['noise', Uint8Array.of(1, 2, 3, 0, 9, 8), /no kind that is known/],
  ])('%s', async (_what, bytes, message) => {
    const error = await read('x', bytes).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EspalierError);
    expect(error).toMatchObject({
      code: 'matrices/format',
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ['cut.safetensors', golden('linear.safetensors').subarray(0, 100)],
    ['cut.npy', npy.subarray(0, 100)],
  ])('%s, by its name', async (name, bytes) => {
    await expect(read(name, bytes)).rejects.toThrow(join(dir, name));
  });

  test('a file that is not there', async () => {
    await expect(readMatrices(join(dir, 'none'))).rejects.toMatchObject({ code: 'matrices/file' });
  });

  test('broken files, with nothing but EspalierErrors', () =>
    fc.assert(
      fc.asyncProperty(
        fc.oneof(broken(golden('lstm-model-f16.safetensors')), broken(npy)),
        async (bytes) => {
          const outcome = await read('broken', bytes).catch((thrown: unknown) => thrown);
          if (outcome instanceof EspalierError) return;
          for (const { shape, data } of (outcome as Awaited<ReturnType<typeof read>>).values()) {
            expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
            expect(data.byteLength).toBeLessThanOrEqual(bytes.length);
          }
        },
      ),
      { seed: 4, numRuns: 200 },
    ));
});
