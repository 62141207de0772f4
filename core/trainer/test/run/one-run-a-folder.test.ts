import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arraySource, memoryStore } from '@espalier/core';
import type { CheckpointStore, Session, SessionConfig } from '@espalier/core';
import { claimPlace, fileStore } from '@espalier/core/node';
import { onBackend } from '@espalier/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const root = fs.mkdtempSync(join(tmpdir(), 'espalier-runs-'));
afterAll(() => fs.rmSync(root, { recursive: true }));

const newFolder = () => fs.mkdtempSync(join(root, 'run-'));
const inFolder =
  (dir = newFolder()) =>
  () =>
    fileStore(dir);
const inMemory = () => {
  const store = memoryStore();
  return () => store;
};

/** Does something once, within the first step of an epoch. */
function within(act: () => Promise<void>) {
  let done = false;
  return plugin('within', {
    apply: ({ hooks }) =>
      hooks.afterStep.tap(async () => {
        if (done) return;
        done = true;
        await act();
      }),
  });
}

async function withSessions(
  configs: readonly Partial<SessionConfig>[],
  use: (...sessions: Session[]) => Promise<void>,
) {
  const sessions = await Promise.all(configs.map((config) => open(config)));
  await use(...sessions);
  await Promise.all(sessions.map((session) => session.dispose()));
}

const saving = (store: CheckpointStore) => ({ checkpoint: { store, everySteps: 1 } });

describe.each([
  ['a folder', inFolder],
  ['a store in memory', inMemory],
])('%s', (_, makePlace) => {
  it('is one run’s while that trains: another is refused before it computes anything', async () => {
    const place = makePlace();
    const other = await open(saving(place()));
    const codes: string[] = [];
    const plugins = [
      within(async () => {
        for (const act of [
          () => other.fit({ epochs: 1 }),
          () => other.runStages([{ epochs: 1 }]),
          () => other.beginEpoch(),
          () => other.save(),
        ])
          codes.push((await refusal(act)).code);
      }),
    ];
    await withSessions([{ ...saving(place()), plugins }], async (session) => {
      const { status } = await session.fit({ epochs: 1 });
      expect(status).toBe('completed');
    });
    expect(codes).toEqual(Array(4).fill('place/in-use'));
    expect(other.clock.step).toBe(0);
    await other.dispose();
  });

  it('that another run has written to since is refused until it is loaded again', async () => {
    const place = makePlace();
    await withSessions([saving(place()), saving(place())], async (first, second) => {
      await first.fit({ epochs: 1 });
      await second.load();
      await second.fit({ epochs: 1 });
      const error = await refusal(() => first.fit({ epochs: 1 }));
      expect(error.code).toBe('checkpoint/moved-on');
      expect(first.clock.epoch).toBe(1);
      expect((await refusal(() => first.save())).code).toBe('checkpoint/moved-on');
      await first.load();
      await first.fit({ untilEpoch: 3 });
      expect(first.clock.epoch).toBe(3);
    });
  });

  it('is that of a loop of one’s own until it ends or its session is disposed', async () => {
    const place = makePlace();
    await withSessions([saving(place())], async (second) => {
      const first = await open(saving(place()));
      await first.beginEpoch();
      expect((await refusal(() => second.fit({ epochs: 1 }))).code).toBe('place/in-use');
      await first.dispose();
      await second.fit({ epochs: 1 });
    });
  });
});

it('a run that failed gives its folder back', async () => {
  const place = inFolder();
  const failing = within(() => Promise.reject(new Error('broken')));
  await withSessions(
    [{ ...saving(place()), plugins: [failing] }, saving(place())],
    async (first, second) => {
      await expect(first.fit({ epochs: 1 })).rejects.toThrow('broken');
      await second.fit({ epochs: 1 });
    },
  );
});

it('a run whose folder was taken over ends at its next save and leaves the folder alone', async () => {
  const dir = newFolder();
  const takeover = within(async () => {
    fs.rmSync(join(dir, '.owner.json'));
    claimPlace(dir);
  });
  await withSessions([{ ...saving(fileStore(dir)), plugins: [takeover] }], async (session) => {
    expect((await refusal(() => session.fit({ epochs: 1 }))).code).toBe('place/taken-over');
  });
  expect(fs.readdirSync(dir)).toEqual(['.owner.json']);
});

it('data that have no fingerprint are refused before anything is computed', async () => {
  const train = {
    ...arraySource({ x: { data: new Float32Array(6), shape: [1, 6] }, batchSize: 1 }),
  };
  const broken = { ...train, fingerprint: () => Promise.reject(new Error('no hash')) };
  await withSessions([{ ...saving(memoryStore()), validation: broken }], async (session) => {
    await expect(session.fit({ epochs: 1 })).rejects.toThrow('no hash');
    expect(session.clock.step).toBe(0);
  });
});

it('data in shared memory have the fingerprint of the same data elsewhere', async () => {
  const own = Float32Array.from({ length: 12 }, (_, i) => i);
  const shared = new Float32Array(new SharedArrayBuffer(64), 8, 12);
  shared.set(own);
  const hash = (data: Float32Array) =>
    arraySource({ x: { data, shape: [2, 6] }, batchSize: 1 }).fingerprint();
  expect(await hash(shared)).toBe(await hash(own));
});

it('saves of one session wait for each other, and a fit waits for them', async () => {
  const store = memoryStore();
  await withSessions([saving(store)], async (session) => {
    const elsewhere = memoryStore();
    const saves = [session.save(elsewhere), session.save(elsewhere), session.save(store)];
    const { status } = await session.fit({ epochs: 1 });
    expect(status).toBe('completed');
    expect(await Promise.all(saves)).toHaveLength(3);
  });
});
