import { loadLatest, memoryStore, saveCheckpoint } from '@espalier/checkpoint';
import type { CheckpointStore } from '@espalier/checkpoint';
import { describe, expect, test } from 'vitest';

const nameOf = (step: number) => `step-${String(step).padStart(9, '0')}.safetensors`;
const save = (store: CheckpointStore, step: number, keep?: number) =>
  saveCheckpoint(store, { manifest: { step }, tensors: new Map() }, { step, keep });

async function damage(store: CheckpointStore, step: number): Promise<void> {
  const bytes = await store.read(nameOf(step));
  bytes[bytes.length - 3]! ^= 1;
  await store.write(nameOf(step), bytes);
}

async function storeWith(...steps: readonly number[]): Promise<CheckpointStore> {
  const store = memoryStore();
  for (const step of steps) await save(store, step, Infinity);
  return store;
}

describe('loadLatest', () => {
  test('gives undefined where there is nothing', async () => {
    expect(await loadLatest(memoryStore())).toBeUndefined();
  });

  test('gives the highest step, beyond nine digits too', async () => {
    const store = await storeWith(2_000_000_000, 999_999_999, 10);
    expect(await loadLatest(store)).toMatchObject({
      name: 'step-2000000000.safetensors',
      manifest: { step: 2_000_000_000 },
    });
  });

  test('passes over damaged and unreadable ones and reports each', async () => {
    const store = await storeWith(1, 2, 3);
    await damage(store, 3);
    await store.write(nameOf(2), new Uint8Array(0));
    const skipped: string[] = [];
    const found = await loadLatest(store, (name, { code }) => skipped.push(`${name} ${code}`));
    expect(found?.manifest).toEqual({ step: 1 });
    expect(skipped).toEqual([`${nameOf(3)} checkpoint/damaged`, `${nameOf(2)} checkpoint/damaged`]);
  });

  test('lists them all when all are damaged', async () => {
    const store = await storeWith(1, 2);
    await damage(store, 1);
    await damage(store, 2);
    await expect(loadLatest(store)).rejects.toThrow(
      /none of the 2 checkpoints in memory.*000000002.*000000001.*start anew/s,
    );
  });

  test('passes over one that another process removed after the listing', async () => {
    const store = await storeWith(1);
    const stale = { ...store, list: async () => [nameOf(1), nameOf(2)] };
    expect((await loadLatest(stale))?.manifest).toEqual({ step: 1 });
  });

  test('does not hide an error that is none of the files', async () => {
    const store = await storeWith(1);
    const broken = { ...store, read: () => Promise.reject(new TypeError('bug')) };
    await expect(loadLatest(broken)).rejects.toThrow(TypeError);
  });
});

describe('saveCheckpoint', () => {
  test('keeps the two newest unless told otherwise', async () => {
    const store = memoryStore();
    for (const step of [1, 2, 3, 4]) expect(await save(store, step)).toBe(nameOf(step));
    expect(await store.list()).toEqual([nameOf(3), nameOf(4)]);
    await save(store, 5, 1);
    expect(await store.list()).toEqual([nameOf(5)]);
  });

  test('counts only good ones, so that as many can be gone back to', async () => {
    const store = await storeWith(1, 2, 3);
    await damage(store, 3);
    await save(store, 4);
    expect(await store.list()).toEqual([nameOf(2), nameOf(3), nameOf(4)]);
    await save(store, 5);
    expect(await store.list()).toEqual([nameOf(4), nameOf(5)]);
  });

  test('never removes what it has just written, even below older steps', async () => {
    const store = await storeWith(100, 200);
    await save(store, 10);
    expect(await store.list()).toContain(nameOf(10));
  });

  test('leaves files of other names alone', async () => {
    const store = await storeWith(1, 2);
    await store.write('best.safetensors', new Uint8Array(1));
    await save(store, 3, 1);
    expect(await store.list()).toEqual(['best.safetensors', nameOf(3)]);
    expect((await loadLatest(store))?.name).toBe(nameOf(3));
  });

  test('removes nothing when writing fails', async () => {
    const store = await storeWith(1, 2);
    const full = { ...store, write: () => Promise.reject(new Error('full')) };
    await expect(save(full, 3)).rejects.toThrow('full');
    expect(await store.list()).toEqual([nameOf(1), nameOf(2)]);
  });
});

test('a memory store keeps copies of its own', async () => {
  const store = memoryStore();
  const bytes = new Uint8Array([1]);
  await store.write('a', bytes);
  bytes[0] = 2;
  (await store.read('a'))[0] = 3;
  expect([...(await store.read('a'))]).toEqual([1]);
  await expect(store.read('b')).rejects.toMatchObject({ code: 'checkpoint/store' });
});
