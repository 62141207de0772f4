import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileOperations } from '@espalier/checkpoint/node';
import { loadArtifact, saveArtifact } from '@espalier/formats/node';
import { disposeModel, extractGraph } from '@espalier/model';
import { onBackend, tensorsLeakedBy } from '@espalier/testkit';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { constantModel } from './constant-model.js';

let dir: string;
let one: LayersModel;
let two: LayersModel;
beforeAll(async () => {
  await onBackend('cpu');
  [one, two] = [constantModel(1), constantModel(2)];
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'espalier-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const filesIn = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));

async function expectHolds(folder: string, model: LayersModel): Promise<void> {
  const { model: loaded } = await loadArtifact(folder);
  expect(extractGraph(loaded).topology).toEqual(extractGraph(model).topology);
  expect(loaded.getWeights()[0]!.dataSync()).toEqual(model.getWeights()[0]!.dataSync());
  disposeModel(loaded);
}

describe('a folder', () => {
  test('is made, holds two files of the bytes that were counted, and loads', async () => {
    const folder = join(dir, 'deep', 'down');
    const { total } = await saveArtifact(folder, { model: one });
    const files = filesIn(folder);
    expect(Object.keys(files)).toEqual([
      'manifest.json',
      expect.stringMatching(/^weights-[0-9a-f]{16}\.safetensors$/),
    ]);
    expect(Object.values(files).reduce((sum, { length }) => sum + length, 0)).toBe(total);
    await expectHolds(folder, one);
  });

  test('holds the newest model alone, and other files stay', async () => {
    await saveArtifact(dir, { model: one });
    writeFileSync(join(dir, 'report.html'), 'mine');
    await saveArtifact(dir, { model: two });
    await saveArtifact(dir, { model: two });
    await expectHolds(dir, two);
    expect(readdirSync(dir)).toHaveLength(3);
    expect(readFileSync(join(dir, 'report.html'), 'utf8')).toBe('mine');
  });

  test('is cleared of weights that an earlier process left, with or without a manifest', async () => {
    const left = join(dir, 'weights-0123456789abcdef.safetensors');
    const leave = () => {
      writeFileSync(left, 'part');
      utimesSync(left, 1, 1);
    };
    leave();
    await saveArtifact(dir, { model: one });
    expect(existsSync(left)).toBe(false);
    leave();
    await saveArtifact(dir, { model: one });
    expect(existsSync(left)).toBe(false);
    await expectHolds(dir, one);
  });

  test.each([
    ['somebody’s file', 'notes.txt', 'mine'],
    ['a manifest of something else', 'manifest.json', '{"name":"page"}'],
    [
      'an artifact of a later release',
      'manifest.json',
      '{"format":"espalier-artifact","version":2}',
    ],
  ])('that holds %s is refused and stays as it is', async (_what, name, content) => {
    writeFileSync(join(dir, name), content);
    const before = filesIn(dir);
    await expect(saveArtifact(dir, { model: one })).rejects.toMatchObject({
      code: 'artifact/folder',
      message: expect.stringMatching(/Choose an empty or new folder/),
    });
    expect(filesIn(dir)).toEqual(before);
  });

  test('that is a file, or is not there, is refused', async () => {
    writeFileSync(join(dir, 'file'), 'mine');
    await expect(saveArtifact(join(dir, 'file'), { model: one })).rejects.toThrow(
      /cannot save the artifact.*A file stands where a folder must be.*artifact\/store/,
    );
    await expect(loadArtifact(join(dir, 'nowhere'))).rejects.toThrow(
      /cannot load the artifact.*ENOENT.*artifact\/store/,
    );
  });

  test('without its weights says which file is missing', async () => {
    await saveArtifact(dir, { model: one });
    const weights = readdirSync(dir).find((name) => name.startsWith('weights-'))!;
    rmSync(join(dir, weights));
    const leaked = await tensorsLeakedBy(async () => {
      await expect(loadArtifact(dir)).rejects.toThrow(new RegExp(`ENOENT.*${weights}`));
    });
    expect(leaked).toBe(0);
  });
});

/** Real operations; the one of this number (from 0) fails as on a full disk, half of it done. */
function fullAt(number: number): { readonly files: FileOperations; readonly done: string[] } {
  const done: string[] = [];
  const counted = async <T>(
    name: string,
    work: () => Promise<T>,
    half?: () => Promise<unknown>,
  ) => {
    if (done.length === number) {
      await half?.();
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    }
    done.push(name);
    return work();
  };
  const files: FileOperations = {
    open: (path, flags) => counted('open', () => fs.open(path, flags)),
    write: (file, bytes) =>
      counted(
        'write',
        () => file.writeFile(bytes),
        () => file.write(bytes.subarray(0, bytes.length / 2)),
      ),
    fsync: (file) => counted('fsync', () => file.sync()),
    rename: (from, to) => counted('rename', () => fs.rename(from, to)),
  };
  return { files, done };
}

describe('a full disk', () => {
  const SYNCED = ['fsync', 'rename', 'open', 'fsync'];
  /** Weights are written in two pieces, their names and their numbers; the manifest in one. */
  const OPERATIONS = ['open', 'write', 'write', ...SYNCED, 'open', 'write', ...SYNCED];

  test('no operation is left out below', async () => {
    const { files, done } = fullAt(Infinity);
    await saveArtifact(dir, { model: one }, { files });
    expect(done).toEqual(OPERATIONS);
  });

  test.each([...OPERATIONS.keys()])(
    'at operation %i leaves a whole artifact, and saving works again with space',
    async (number) => {
      await saveArtifact(dir, { model: one });
      const before = filesIn(dir);
      const saving = saveArtifact(dir, { model: two }, fullAt(number));
      await expect(saving).rejects.toMatchObject({
        code: 'artifact/store',
        message: expect.stringMatching(/cannot save the artifact.*ENOSPC.*disk is full/),
      });
      const isReplaced = number > OPERATIONS.lastIndexOf('rename'); // the manifest was renamed; only its folder was not fsynced
      await expectHolds(dir, isReplaced ? two : one);
      if (!isReplaced) expect(filesIn(dir)).toEqual(before);
      await saveArtifact(dir, { model: two });
      await expectHolds(dir, two);
    },
  );

  test('at the first save leaves an empty folder', async () => {
    await expect(saveArtifact(dir, { model: one }, fullAt(7))).rejects.toThrow(/disk is full/);
    expect(readdirSync(dir)).toEqual([]);
  });
});
