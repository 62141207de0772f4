import { compressionReport } from '@espalier/compression';
import { createSession, crossEntropy, sgd } from '@espalier/core';
import { prune } from '@espalier/preset-group-reduce';
import { onBackend, tinyMlp, tinySource, withSession } from '@espalier/testkit';
import { expect, test } from 'vitest';

test('the baseline prunes what it is told to, and nothing else', async () => {
  await onBackend('cpu');
  const opening = createSession({
    model: tinyMlp,
    preset: prune({ layers: ['hidden'], density: 0.25 }),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource(),
  });
  await withSession(opening, async (session) => {
    await session.transform();
    const account = compressionReport(session.inspect().edits);
    expect(account).toMatchObject([
      { plugin: 'prune', layer: 'hidden', summary: 'kernel: 12 of 48 numbers kept' },
    ]);
  });
});
