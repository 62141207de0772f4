import { allocateBits, BIT_ALLOCATOR, compressionReport } from '@espalier/compression';
import { createSession, crossEntropy, definePlugin, memoryStore, sgd } from '@espalier/core';
import type { Plugin, Session } from '@espalier/core';
import { blockCodes, wordImportance } from '@espalier/plugin-block-low-rank';
import type { BlockCodesOptions } from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { backendsUnderTest, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { tinyLanguageModel, tinyText, zipf } from './models.js';

const [WORDS, COLUMNS] = [150, 8];

function open(plugins: readonly Plugin[]): Promise<Session> {
  return createSession({
    model: () => tinyLanguageModel({ words: WORDS, columns: COLUMNS }),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.5 }),
    train: tinyText({ words: WORDS }),
    plugins,
  });
}

const codes = (options: BlockCodesOptions) => blockCodes({ minSize: 400, ...options });
const classes = ({ model }: Session) =>
  ['embedding', 'softmax'].map((name) => model.getLayer(name).getClassName());
const bytesOf = (session: Session, layer: string) =>
  Object.entries(session.parameters())
    .filter(([path]) => path.startsWith(`${layer}/`) && !path.endsWith('/bias'))
    .reduce((sum, [, { size }]) => sum + 4 * size, 0);

function predict({ model }: Session): Promise<Float32Array> {
  const input = tf.tensor2d([[1, 2, 3, 149]], [1, 4], 'int32');
  const output = model.predict(input) as Tensor;
  input.dispose();
  return output.data<'float32'>().finally(() => output.dispose());
}

function distance(a: Float32Array, b: Float32Array): number {
  const sum = (of: (i: number) => number) => a.reduce((total, _, i) => total + of(i) ** 2, 0);
  return Math.sqrt(sum((i) => a[i]! - b[i]!) / sum((i) => b[i]!));
}

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('matrices keep the size, the model stays close, and the account is right', async () => {
    const session = await open([vocabPartition({ counts: zipf(WORDS) }), codes({ ratio: 3 })]);
    await session.fit({ epochs: 1 });
    const before = await predict(session);
    await session.transform();
    expect(classes(session)).toEqual(['StoredEmbedding', 'StoredDense']);
    expect(distance(await predict(session), before)).toBeLessThan(0.3);
    const account = compressionReport(session.inspect().edits);
    expect(account.map(({ plugin, layer }) => [plugin, layer])).toEqual([
      ['block-codes', 'embedding'],
      ['block-codes', 'softmax'],
    ]);
    for (const { layer, bytesBefore, bytesAfter, relativeError, weightedError, front } of account) {
      const bias = layer === 'softmax' ? 4 * WORDS : 0;
      expect(bytesAfter - bias).toBe(bytesOf(session, layer));
      expect(bytesAfter - bias).toBeLessThanOrEqual((bytesBefore - bias) / 3);
      expect(relativeError).toBeLessThan(0.3);
      expect(weightedError).toBeLessThan(0.3);
      expect(front![0]!.error).toBeLessThan(front!.at(-1)!.error);
    }
    await session.dispose();
  });

  test('the rest trains on, and a checkpoint resumes bit for bit', async () => {
    const plugins = () => [vocabPartition({ counts: zipf(WORDS) }), codes({ ratio: 3 })];
    const store = memoryStore();
    const session = await open(plugins());
    await session.fit({ epochs: 1 });
    await session.transform();
    await session.save(store);
    const tensors = tf.memory().numTensors;
    await session.fit({ untilEpoch: 3 });
    expect(tf.memory().numTensors).toBe(tensors);
    const trained = await predict(session);
    await session.dispose();
    const other = await open(plugins());
    expect(await other.load({ store })).toBe(true);
    await other.fit({ untilEpoch: 3 });
    expect(await predict(other)).toEqual(trained);
    await other.dispose();
  });
});

describe('choices', () => {
  beforeAll(() => onBackend('wasm'));

  const errorsOf = async (plugins: readonly Plugin[]) => {
    const session = await open(plugins);
    await session.fit({ epochs: 1 });
    await session.transform();
    const account = compressionReport(session.inspect().edits);
    await session.dispose();
    return account;
  };

  test('importance is the objective where somebody provides it', async () => {
    const counted = vocabPartition({ counts: zipf(WORDS) });
    const [byImportance] = await errorsOf([counted, wordImportance(), codes({ ratio: 4 })]);
    const [byCounts] = await errorsOf([counted, codes({ ratio: 4, objective: 'counts' })]);
    expect(byImportance!.weightedError).toBeCloseTo(byCounts!.weightedError!, 6);
  });

  test('a budget for all layers is shared out by size', async () => {
    const account = await errorsOf([codes({ budget: 3000, layers: ['embedding', 'softmax'] })]);
    const bytes = account.map(
      ({ bytesAfter, layer }) => bytesAfter - (layer === 'softmax' ? 600 : 0),
    );
    expect(bytes[0]).toBeLessThanOrEqual(1500);
    expect(bytes[1]).toBeLessThanOrEqual(1500);
    expect(bytes[0]).toBeGreaterThan(1000);
  });

  test('bits are shared out by another rule, where one is provided', async () => {
    const equal = definePlugin({
      id: 'equal-bits',
      version: '1.0.0',
      options: z.strictObject({}),
      stateless: true,
      apply: (ctx) =>
        ctx.provide(BIT_ALLOCATOR, () => ({
          name: 'equal',
          allocate: (groups, budget, options) => {
            const { choices } = allocateBits(groups, budget, options);
            const bits = choices.map((choice) => ({ ...choice, bits: choice.bits.map(() => 2) }));
            return { choices: bits, bytes: 0, error: 0 };
          },
        })),
    });
    const [embedding] = await errorsOf([equal(), codes({ ratio: 2 })]);
    expect(embedding!.summary).toMatch(/×2\.0/);
  });

  test('a size that cannot be reached names the layer and what can', async () => {
    const session = await open([codes({ ratio: 100 })]);
    const refused = expect.objectContaining({
      code: 'block-codes/budget',
      message: expect.stringMatching(/layer 'embedding'/) as string,
    }) as Error;
    await expect(session.transform()).rejects.toThrow(refused);
    expect(classes(session)).toEqual(['Embedding', 'Dense']);
    await session.dispose();
  });
});
