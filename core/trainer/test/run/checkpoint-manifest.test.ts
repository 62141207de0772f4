import { packCheckpoint, unpackCheckpoint } from '@espalier/checkpoint';
import { adam, memoryStore } from '@espalier/core';
import { onBackend, tensorsLeakedBy } from '@espalier/testkit';
import { beforeAll, expect, it } from 'vitest';
import { open, refusal } from './sessions.js';

type Json = Record<string, unknown>;

beforeAll(() => onBackend('cpu'));

/** Loads a checkpoint whose manifest was changed and sealed again, into the run that wrote it. */
async function outcomeOf(change: (manifest: Json) => unknown): Promise<unknown> {
  const store = memoryStore();
  const session = await open({ optimizer: adam({ learningRate: 0.1 }) });
  await session.fit({ epochs: 1 });
  await session.save(store);
  const [name] = await store.list();
  const { manifest, tensors } = await unpackCheckpoint(await store.read(name!), name!);
  const changed = change(manifest as Json) ?? manifest;
  await store.write(name!, await packCheckpoint({ manifest: changed, tensors }));
  let error: unknown;
  const leaked = await tensorsLeakedBy(async () => {
    error = await refusal(() => session.load({ store }));
  });
  expect(leaked).toBe(0);
  await session.fit({ epochs: 2 });
  await session.dispose();
  return error;
}

it.each<[string, (manifest: Json) => unknown, RegExp]>([
  ['no manifest', () => [], /it is no object/],
  ['a count as text', (m) => void ((m['clock'] as Json)['step'] = ''), /'clock\.step'/],
  ['a clock of text', (m) => void (m['clock'] = ''), /'clock'/],
  ['half a history', (m) => void (m['history'] = [{ metrics: {} }]), /'history\.0\.clock'/],
  ['plugins as a list', (m) => void ((m['preset'] as Json)['plugins'] = [1]), /'preset\.plugins'/],
  ['a stage of nothing', (m) => void ((m['stages'] as Json)['done'] = [{}]), /'stages\.done\.0'/],
  ['a slot without tensors', (m) => void (m['slots'] = { m: ['x'] }), /no tensor 'slots\/m\/x'/],
  ['a model of another kind', (m) => void (m['topology'] = { config: [] }), /'topology\.config'/],
  [
    'edits that were not made',
    (m) => {
      m['edits'] = [{ plugin: 'p', phase: 'setup', outputs: [7] }];
    },
    /'edits\.0\.outputs\.0'/,
  ],
])('a checkpoint with %s is refused, and the run goes on', async (_what, change, message) => {
  expect(await outcomeOf(change)).toMatchObject({
    code: 'checkpoint/manifest',
    message: expect.stringMatching(message),
  });
});
