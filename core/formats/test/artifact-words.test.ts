import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { countBytes, packArtifact } from '@espalier/formats';
import { loadArtifact, saveArtifact } from '@espalier/formats/node';
import { disposeModel } from '@espalier/model';
import { onBackend } from '@espalier/testkit';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { constantModel } from './constant-model.js';
import { useFolder } from './scratch.js';

const folder = useFolder();
let model: LayersModel;
beforeAll(async () => {
  await onBackend('cpu');
  model = constantModel(1);
});

const wordsIn = async (dir: string) =>
  (await readdir(dir)).filter((name) => name.startsWith('words-'));

test('an artifact keeps its words, and counts their bytes', async () => {
  const dir = folder.at('kept');
  const words = ['the', '"quoted"', 'naïve', 'two words', '数\n'];
  const { total, ...bytes } = await saveArtifact(dir, { model, words });
  const [file] = await wordsIn(dir);
  expect(JSON.parse(await readFile(join(dir, file!), 'utf8'))).toEqual(words);
  expect(bytes.words).toBe(Buffer.byteLength(JSON.stringify(words)));
  const sizes = countBytes(await packArtifact({ model }));
  expect(sizes.words).toBe(0);
  expect(total).toBe(bytes.words + bytes.manifest + bytes.header + bytes.layers[0]!.bytes);
  const loaded = await loadArtifact(dir);
  expect(loaded.words).toEqual(words);
  disposeModel(loaded.model);
});

test('other words take their place; an artifact without words has no file of them', async () => {
  const dir = folder.at('replaced');
  await saveArtifact(dir, { model, words: ['a'] });
  await saveArtifact(dir, { model, words: ['b'] });
  expect(await wordsIn(dir)).toHaveLength(1);
  const loaded = await loadArtifact(dir);
  expect(loaded.words).toEqual(['b']);
  disposeModel(loaded.model);
  await saveArtifact(dir, { model });
  expect(await wordsIn(dir)).toEqual([]);
});

test('words that were changed, are missing or are no texts are refused', async () => {
  const dir = folder.at('damaged');
  await saveArtifact(dir, { model, words: ['a', 'b'] });
  const [file] = await wordsIn(dir);
  await writeFile(join(dir, file!), '["a","c"]');
  await expect(loadArtifact(dir)).rejects.toMatchObject({ code: 'artifact/damaged' });
  const odd = packArtifact({ model, words: ['\ud800'] });
  await expect(odd).rejects.toMatchObject({ code: 'artifact/content' });
});
