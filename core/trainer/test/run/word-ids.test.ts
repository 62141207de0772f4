import { crossEntropy, meanSquaredError } from '@espalier/core';
import type { Batch, SessionConfig } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const WORDS = 6;
const embedding = () => tfl.layers.embedding({ inputDim: WORDS, outputDim: 2, name: 'table' });
const head = () => tfl.layers.dense({ units: 2 });
const words = () => tfl.input({ name: 'words', shape: [3] });
const modelOf = (x: tfl.SymbolicTensor, y: unknown) =>
  tfl.model({ inputs: x, outputs: y as tfl.SymbolicTensor });

/** Models with word ids, and where these go before they are looked up. */
const MODELS: Record<string, () => tfl.LayersModel> = {
  'an embedding': () => {
    const x = words();
    return modelOf(x, head().apply(tfl.layers.flatten().apply(embedding().apply(x))));
  },
  'an embedding behind layers that move ids': () => {
    const x = words();
    const moved = tfl.layers.reshape({ targetShape: [3, 1] }).apply(x);
    const ids = tfl.layers.flatten().apply(tfl.layers.permute({ dims: [2, 1] }).apply(moved));
    return modelOf(x, head().apply(tfl.layers.flatten().apply(embedding().apply(ids))));
  },
  'an embedding in a nested model': () => {
    const x = words();
    const inner = tfl.sequential({
      layers: [
        tfl.layers.embedding({ inputDim: WORDS, outputDim: 2, inputLength: 3 }),
        tfl.layers.flatten(),
      ],
    });
    return modelOf(x, head().apply(inner.apply(x)));
  },
  'a small embedding beside a large one': () => {
    const x = words();
    const large = tfl.layers.embedding({ inputDim: 99, outputDim: 2 }).apply(x);
    const both = tfl.layers.add().apply([large, embedding().apply(x)] as tfl.SymbolicTensor[]);
    return modelOf(x, head().apply(tfl.layers.flatten().apply(both)));
  },
  'a wrapped embedding': () => {
    const x = words();
    const steps = tfl.layers.reshape({ targetShape: [3, 1] }).apply(x);
    const each = tfl.layers.timeDistributed({ layer: embedding() }).apply(steps);
    return modelOf(x, head().apply(tfl.layers.flatten().apply(each)));
  },
};

const WRONG: readonly (readonly [string, number])[] = [
  ['NaN', NaN],
  ['a fraction', 1.5],
  ['a negative id', -1],
  ['an id beyond the rows', WORDS],
  ['an infinite id', Infinity],
];

const GOOD = [0, 1, 2, 5, 4, 3];
const batchOf = (ids: number[], more = {}) => ({
  x: tf.tensor(ids, [2, 3], 'float32'),
  y: tf.tensor1d([0, 1], 'int32'),
  ...more,
});
const begin = (model: () => tfl.LayersModel, more: Partial<SessionConfig> = {}) =>
  open({ model, loss: crossEntropy(), train: undefined, ...more });
const spoilt = (wrong: number) => GOOD.map((id, i) => (i === 4 ? wrong : id));

describe.each(Object.entries(MODELS))('into %s', (_, model) => {
  it.each(WRONG)(
    '%s is refused in training and prediction, naming the input',
    async (_name, id) => {
      const session = await begin(model);
      const batch = batchOf(spoilt(id));
      const works = [() => session.step(batch), () => session.predict(batch.x)];
      for (const work of works) {
        const error = await refusal(work);
        expect(error.code).toBe('inputs/ids');
        expect(error.message).toMatch(`'words'`);
        expect(error.message).toMatch(/from 0 to 5; example 1 has another/);
        expect(error.message).toContain(`Received: ${id}.`);
      }
      await session.step(batchOf(GOOD));
      await session.dispose();
    },
  );
});

const plain = MODELS['an embedding']!;

describe('word ids', () => {
  it('of a source are refused before the first step, in evaluation too', async () => {
    const session = await begin(plain);
    const source = (ids: number[]) => ({
      batchesPerEpoch: 1,
      fingerprint: async () => 'ids',
      async *iterate() {
        yield await Promise.resolve(batchOf(ids));
      },
    });
    const error = await refusal(() => session.evaluate(source(spoilt(NaN))));
    expect(error.code).toBe('inputs/ids');
    expect(await session.evaluate(source(GOOD))).toMatchObject({ loss: expect.any(Number) });
    await session.dispose();
  });

  it('of integers are checked for their range', async () => {
    const session = await begin(plain);
    const error = await refusal(() =>
      session.predict(tf.tensor2d([[1, 2, WORDS]], [1, 3], 'int32')),
    );
    expect(error.message).toContain('Received: 6.');
    await session.dispose();
  });

  it('of examples that weigh 0 may be anything', async () => {
    const session = await begin(plain);
    const log = await session.step(batchOf(spoilt(NaN), { weights: tf.tensor1d([1, 0]) }));
    expect(Number.isFinite(log.total)).toBe(true);
    const error = await refusal(() =>
      session.step(batchOf(spoilt(NaN), { weights: tf.tensor1d([0, 1]) })),
    );
    expect(error.code).toBe('inputs/ids');
    await session.dispose();
  });

  it('that a batch tap spoils are refused, naming the plugin', async () => {
    const shift = (id: string, by: number) =>
      plugin(id, {
        apply: ({ hooks }) =>
          hooks.batch.tap((batch: Batch) => {
            const inputs = { words: tf.add(batch.inputs['words']!, by) };
            return Promise.resolve({ ...batch, inputs });
          }),
      });
    const session = await begin(plain, { plugins: [shift('a-good', 0), shift('b-bad', 0.5)] });
    const error = await refusal(() => session.step(batchOf(GOOD)));
    expect(error.place).toEqual({ plugin: 'b-bad', hook: 'batch', step: 0 });
    await session.dispose();
  });

  it('are read once a tensor', async () => {
    const session = await begin(plain);
    const batch = batchOf(GOOD);
    let reads = 0;
    const { data } = batch.x;
    batch.x.data = (...args) => (reads++, data.apply(batch.x, args)) as never;
    for (let step = 0; step < 3; step++) await session.step(batch);
    expect(reads).toBe(1);
    await session.dispose();
  });

  it('are not asked of inputs that no embedding looks up', async () => {
    const session = await open({
      model: () => tfl.sequential({ layers: [tfl.layers.dense({ units: 1, inputShape: [2] })] }),
      loss: meanSquaredError(),
      train: undefined,
    });
    await session.step({ x: tf.tensor2d([[0.5, -7]]), y: tf.tensor2d([[1]]) });
    await session.dispose();
  });
});
