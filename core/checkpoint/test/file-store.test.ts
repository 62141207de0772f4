import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EspalierError } from '@espalier/base';
import { loadLatest, saveCheckpoint } from '@espalier/checkpoint';
import { fileStore } from '@espalier/checkpoint/node';
import type { FileOperations } from '@espalier/checkpoint/node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'espalier-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const bytes = (...values: number[]) => new Uint8Array(values);
const failing = (errno: string) => () =>
  Promise.reject(Object.assign(new Error(`${errno}: it failed`), { code: errno }));

describe('files', () => {
  test('are written, read, listed by name and removed', async () => {
    const store = fileStore(join(dir, 'deep', 'down'));
    expect(store.location).toBe(join(dir, 'deep', 'down'));
    expect(await store.list()).toEqual([]);
    expect(existsSync(store.location)).toBe(false); // looking makes no folder
    await store.write('b', bytes(2));
    await store.write('a', bytes(1));
    await store.write('b', bytes(3));
    expect(await store.list()).toEqual(['a', 'b']);
    expect([...(await store.read('b'))]).toEqual([3]);
    await store.remove('b');
    await store.remove('b');
    expect(readdirSync(store.location)).toEqual(['a']);
  });

  test('hidden files and folders are not listed', async () => {
    mkdirSync(join(dir, 'folder'));
    writeFileSync(join(dir, '.hidden'), '');
    expect(await fileStore(dir).list()).toEqual([]);
  });

  test.each(['', '..', '../up', 'a/b', 'a\\b', '.tmp-x', '/root'])(
    'the name %j is refused',
    async (name) => {
      const store = fileStore(dir);
      for (const act of [
        () => store.write(name, bytes()),
        () => store.read(name),
        () => store.remove(name),
      ]) {
        await expect(act()).rejects.toMatchObject({ code: 'checkpoint/name' });
      }
    },
  );

  test('that are missing say so', async () => {
    await expect(fileStore(dir).read('a')).rejects.toThrow(/ENOENT.*no such file/);
  });
});

describe('when writing fails, what is there stays and the error says what to do:', () => {
  test.each<[keyof FileOperations, string, RegExp]>([
    ['open', 'EACCES', /EACCES.*write access/],
    ['open', 'EROFS', /EROFS.*read-only/],
    ['write', 'ENOSPC', /ENOSPC.*disk is full/],
    ['write', 'EDQUOT', /EDQUOT.*quota/],
    ['fsync', 'EIO', /EIO.*Check the disk/],
    ['rename', 'EPERM', /EPERM.*write access/],
  ])('%s gives %s', async (operation, errno, message) => {
    await fileStore(dir).write('a', bytes(1));
    const store = fileStore(dir, { files: { [operation]: failing(errno) } });
    const error = await store.write('a', bytes(2)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EspalierError);
    expect(error).toMatchObject({
      code: 'checkpoint/store',
      message: expect.stringMatching(message),
    });
    expect((error as Error).message).toContain(join(dir, 'a'));
    expect([...(await fileStore(dir).read('a'))]).toEqual([1]);
    expect(readdirSync(dir)).toEqual(['a']); // nothing half-written beside it
  });

  test('a half-written file is removed', async () => {
    const files: Partial<FileOperations> = {
      async write(file, all) {
        await file.write(all.subarray(0, 1));
        await failing('ENOSPC')();
      },
    };
    await expect(fileStore(dir, { files }).write('a', bytes(1, 2))).rejects.toThrow(/disk is full/);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a file stands where the folder must be', async () => {
    writeFileSync(join(dir, 'file'), 'mine');
    for (const at of ['file', 'file/below']) {
      const store = fileStore(join(dir, at));
      await expect(store.write('a', bytes(1))).rejects.toThrow(/A file stands where a folder must/);
      await expect(store.list()).rejects.toThrow(/A file stands where a folder must/);
    }
  });

  test('and it works again once the cause is gone', async () => {
    writeFileSync(join(dir, 'runs'), '');
    const store = fileStore(join(dir, 'runs'));
    await expect(store.write('a', bytes(1))).rejects.toThrow();
    rmSync(join(dir, 'runs'));
    await store.write('a', bytes(1));
    expect(await store.list()).toEqual(['a']);
  });
});

describe('what writers left aside', () => {
  const uuid = '00000000-0000-4000-8000-000000000000';
  const aside = (pid: number) => `.tmp-step-000000001.safetensors-${pid}-${uuid}`;
  const leave = (name: string) => writeFileSync(join(dir, name), 'part');
  const DEAD = 2 ** 22 + 1; // above the largest process id of Linux

  test('is removed if they are dead', async () => {
    leave(aside(DEAD));
    await fileStore(dir).write('a', bytes(1));
    expect(readdirSync(dir)).toEqual(['a']);
  });

  test('is left alone if they live, or if it is not of our pattern', async () => {
    const names = [aside(process.ppid), aside(process.pid), `.tmp-mine-${DEAD}`, 'tmp', '.git'];
    names.forEach(leave);
    await fileStore(dir).write('a', bytes(1));
    expect(readdirSync(dir).sort()).toEqual([...names, 'a'].sort());
  });

  test('is removed if it bears our process id and is older than we are', async () => {
    leave(aside(process.pid));
    utimesSync(join(dir, aside(process.pid)), 1, 1);
    await fileStore(dir).write('a', bytes(1));
    expect(readdirSync(dir)).toEqual(['a']);
  });
});

test('the folder is fsynced after the rename, the file before', async () => {
  const order: string[] = [];
  const files: Partial<FileOperations> = {
    async fsync(file) {
      order.push((await file.stat()).isDirectory() ? 'fsync folder' : 'fsync file');
    },
    async rename(from, to) {
      order.push('rename');
      const fs = await import('node:fs/promises');
      await fs.rename(from, to);
    },
  };
  await fileStore(dir, { files }).write('a', bytes(1));
  expect(order).toEqual(['fsync file', 'rename', 'fsync folder']);
});

test('two writers in one folder do each other no harm', async () => {
  const stores = [fileStore(dir), fileStore(dir)];
  const save = (writer: number, step: number) => {
    const data = new Float32Array(5000).fill(writer);
    const tensors = new Map([['w', { dtype: 'F32', shape: [5000], data } as const]]);
    return saveCheckpoint(stores[writer]!, { manifest: { writer, step }, tensors }, { step });
  };
  for (let step = 1; step <= 10; step++) await Promise.all([save(0, step), save(1, step)]);
  const skipped: string[] = [];
  const found = await loadLatest(stores[0]!, (name) => skipped.push(name));
  const { writer, step } = found!.manifest as { writer: number; step: number };
  expect([step, skipped]).toEqual([10, []]);
  expect(found!.tensors.get('w')!.data).toEqual(new Float32Array(5000).fill(writer));
  expect(readdirSync(dir)).toHaveLength(2);
});
