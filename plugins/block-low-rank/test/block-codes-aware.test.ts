import { compressionReport } from '@espalier/compression';
import { createSession, crossEntropy, memoryStore, sgd } from '@espalier/core';
import type { Plugin, Session } from '@espalier/core';
import { blockCodes } from '@espalier/plugin-block-low-rank';
import type { BlockCodesOptions } from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { backendsUnderTest, onBackend, withSession } from '@espalier/testkit';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { tinyLanguageModel, tinyText, zipf } from './models.js';

const [WORDS, COLUMNS] = [150, 8];

const untied = () => tinyLanguageModel({ words: WORDS, columns: COLUMNS });

function open(
  options: BlockCodesOptions,
  model: () => LayersModel = untied,
  more: readonly Plugin[] = [vocabPartition({ counts: zipf(WORDS) })],
): Promise<Session> {
  return createSession({
    model,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05 }),
    train: tinyText({ words: WORDS }),
    plugins: [...more, blockCodes({ minSize: 400, ratio: 3, ...options })],
  });
}

const bytesOf = (session: Session, layer: string) =>
  Object.entries(session.parameters())
    .filter(([path]) => path.startsWith(`${layer}/`) && !path.endsWith('/bias'))
    .reduce((sum, [, { size }]) => sum + 4 * size, 0);

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('train, transform, train, transform: the loss stays what training says', async () => {
    await withSession(open({ qat: true }), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      const started = session.parameters();
      const paths = ['embedding/embeddings_u', 'softmax/kernel_u', 'softmax/kernel_scales'];
      const before = paths.map((path) => started[path]!.dataSync().slice());
      await session.fit({ untilEpoch: 3 });
      paths.forEach((path, i) => {
        expect(session.parameters()[path]!.dataSync()).not.toEqual(before[i]);
      });
      const source = tinyText({ words: WORDS });
      const { loss } = await session.evaluate(source);
      await session.transform();
      expect((await session.evaluate(source)).loss).toBeCloseTo(loss!, 2);
      expect(session.parameters()['softmax/kernel_codes']!.dtype).toBe('int32');
      expect(session.parameters()['softmax/kernel_u']).toBeUndefined();
      await session.fit({ untilEpoch: 4 });
    });
  });
});

describe('the account of training for codes', () => {
  beforeAll(() => onBackend('wasm'));

  test('both steps are in it, with their bytes', async () => {
    await withSession(open({ qat: true }), async (session) => {
      await session.transform();
      const [embedding, softmax] = compressionReport(session.inspect().edits);
      expect(embedding!.summary).toMatch(/block.*in training$/);
      expect(embedding!.bytesAfter).toBe(bytesOf(session, 'embedding'));
      expect(softmax!.bytesAfter).toBe(bytesOf(session, 'softmax') + 4 * WORDS);
      await session.transform();
      const lines = compressionReport(session.inspect().edits);
      expect(lines).toHaveLength(4);
      const [, , codes, kernel] = lines;
      expect(codes!.summary).toMatch(/bits a number, trained$/);
      expect(codes!.bytesBefore).toBe(embedding!.bytesAfter);
      expect(codes!.bytesAfter).toBe(bytesOf(session, 'embedding'));
      expect(kernel!.bytesAfter).toBe(bytesOf(session, 'softmax') + 4 * WORDS);
      expect(codes!.relativeError).toBeLessThan(0.01);
      expect(codes!.bytesAfter).toBeLessThanOrEqual((4 * WORDS * COLUMNS) / 3);
    });
  });

  test('layers by name: what trains becomes codes, the rest begins to train', async () => {
    const store = memoryStore();
    await withSession(open({ qat: true, layers: ['embedding'] }), async (session) => {
      await session.transform();
      await session.save(store);
    });
    await withSession(open({ qat: true, layers: ['embedding', 'softmax'] }), async (session) => {
      await session.load({ store, allowMismatch: ['plugin:block-codes'] });
      await session.transform();
      const paths = Object.keys(session.parameters());
      expect(paths).toContain('embedding/embeddings_codes');
      expect(paths).toContain('softmax/kernel_u');
    });
  });
});
