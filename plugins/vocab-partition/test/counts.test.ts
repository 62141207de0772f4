import { VOCAB_PARTITIONER, WORD_COUNTS } from '@espalier/compression';
import type { VocabPartitioner, WordCounts } from '@espalier/compression';
import {
  arraySource,
  createSession,
  crossEntropy,
  definePlugin,
  meanSquaredError,
  memoryStore,
  sgd,
} from '@espalier/core';
import type { Session, SessionConfig } from '@espalier/core';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import type { VocabPartitionOptions } from '@espalier/plugin-vocab-partition';
import { onBackend } from '@espalier/testkit';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { countsOf, IDS, tinyWords, WORDS, wordModel } from './models.js';

beforeAll(() => onBackend('cpu'));

/** A session of the plugin and what another plugin gets from it. */
async function open(options: VocabPartitionOptions = {}, more: Partial<SessionConfig> = {}) {
  const got: { counts?: WordCounts; partitioner?: VocabPartitioner } = {};
  const asking = definePlugin({
    id: 'asking',
    version: '1.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply(ctx) {
      ctx.needs(WORD_COUNTS);
      ctx.needs(VOCAB_PARTITIONER);
      ctx.hooks.finish.tap(() => {
        got.counts = ctx.get(WORD_COUNTS);
        got.partitioner = ctx.get(VOCAB_PARTITIONER);
      });
    },
  });
  const session = await createSession({
    model: () => wordModel(),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinyWords(),
    seed: 1,
    ...more,
    plugins: [vocabPartition(options), asking()],
  });
  return { session, got };
}

async function countsAfter(
  options: VocabPartitionOptions,
  more: Partial<SessionConfig> = {},
  words = WORDS,
): Promise<number[]> {
  const { session, got } = await open(options, more);
  try {
    await session.fit({ epochs: 1 });
    return [...got.counts!.counts(words)];
  } finally {
    await session.dispose();
  }
}

const fail = (options: VocabPartitionOptions, more: Partial<SessionConfig> = {}) =>
  open(options, more).then(({ session }) => session.dispose());

test('counts the words of an epoch, whatever the batches', async () => {
  expect(await countsAfter({})).toEqual(countsOf(IDS));
  expect(await countsAfter({ input: 'tokens' }, { accumulate: 3 })).toEqual(countsOf(IDS));
  const floats = tinyWords(Float32Array.from(IDS));
  expect(await countsAfter({}, { train: floats })).toEqual(countsOf(IDS));
});

test('words that were not seen count zero', async () => {
  expect(await countsAfter({}, {}, WORDS + 2)).toEqual([...countsOf(IDS), 0, 0]);
});

test('padding is no word where the embedding masks zero', async () => {
  const [padding, ...rest] = countsOf(IDS);
  expect(padding).toBeGreaterThan(0);
  expect(await countsAfter({}, { model: masked })).toEqual([0, ...rest]);
  expect(await countsAfter({ input: 'tokens' }, { model: masked })).toEqual([0, ...rest]);
});

/** A layer that takes masks follows its embedding. */
function masked(): LayersModel {
  const tokens = tfl.input({ shape: [3], name: 'tokens', dtype: 'int32' });
  const embedding = tfl.layers.embedding({ inputDim: WORDS, outputDim: 4, maskZero: true });
  const read = tfl.layers.simpleRNN({ units: 4 }).apply(embedding.apply(tokens));
  const logits = tfl.layers.dense({ units: 3 }).apply(read) as SymbolicTensor;
  return tfl.model({ inputs: tokens, outputs: logits });
}

test('a word counts by the weight of its example', async () => {
  const weights = Float32Array.from({ length: 16 }, (_, i) => [0, 1, 0.5][i % 3]!);
  const train = arraySource({
    x: { data: IDS, shape: [16, 3] },
    y: { data: Int32Array.from({ length: 16 }, (_, i) => i % 3), shape: [16] },
    weights,
    batchSize: 5,
  });
  const expected = Array.from({ length: WORDS }, () => 0);
  IDS.forEach((id, i) => (expected[id]! += weights[Math.floor(i / 3)]!));
  expect(await countsAfter({}, { train })).toEqual(expected);
});

test.each([3, 2])('a word counts by the weight of its step, of %d', async (steps) => {
  const weights = Float32Array.from({ length: 16 * steps }, (_, i) => [0, 1, 0.5][i % 3]!);
  const input = tfl.input({ shape: [3], name: 'tokens', dtype: 'int32' });
  const words = tfl.layers.embedding({ inputDim: WORDS, outputDim: 4 }).apply(input);
  const read = tfl.layers.simpleRNN({ units: 4 }).apply(words) as SymbolicTensor;
  const outputs = tfl.layers.repeatVector({ n: steps }).apply(read) as SymbolicTensor;
  const train = arraySource({
    x: { data: IDS, shape: [16, 3] },
    y: { data: new Float32Array(16 * steps * 4), shape: [16, steps, 4] },
    weights: { data: weights, shape: [16, steps] },
    batchSize: 5,
  });
  const model = () => tfl.model({ inputs: input, outputs });
  const expected = Array.from({ length: WORDS }, () => 0);
  const meanAt = (example: number) =>
    weights.subarray(example * steps, (example + 1) * steps).reduce((a, b) => a + b, 0) / steps;
  IDS.forEach((id, i) => {
    expected[id]! += steps === 3 ? weights[i]! : meanAt(Math.floor(i / 3));
  });
  const counts = await countsAfter({}, { train, model, loss: meanSquaredError() });
  expect(counts).toEqual(expected);
});

test('a run that was resumed in mid-epoch has counted as one that was not', async () => {
  const checkpoint = { store: memoryStore(), everySteps: 3, everyEpochs: 100 };
  const first = await open({}, { checkpoint });
  const stop = new AbortController();
  first.session.telemetry.on('checkpoint', () => stop.abort());
  await first.session.fit({ untilEpoch: 2, signal: stop.signal });
  await first.session.dispose();
  const { session, got } = await open({}, { checkpoint });
  await session.load();
  await session.fit({ untilEpoch: 2 });
  expect([...got.counts!.counts(WORDS)]).toEqual(countsOf(IDS).map((count) => 2 * count));
  await session.dispose();
});

test('asked before a word was counted, it says what to do', async () => {
  const { session, got } = await open({}, {});
  await fitNothing(session);
  expect(() => got.counts!.counts(WORDS)).toThrow(
    /no word has been counted yet.*session\.fit.*counts: ….*vocab-partition\/nothing-counted/,
  );
  await session.dispose();
});

/** Begins an epoch and stops before its first step. */
async function fitNothing(session: Session): Promise<void> {
  const stop = new AbortController();
  stop.abort();
  await session.fit({ epochs: 1, signal: stop.signal });
}

test('counts of another matrix are refused', async () => {
  await expect(countsAfter({}, {}, 5)).rejects.toThrow(
    /word id 5 was counted, and the matrix has 5 rows.*vocab-partition\/words/,
  );
  await expect(countsAfter({ counts: [1, 2, 3] })).rejects.toThrow(
    /3 word counts, and the matrix has 7 rows.*vocab-partition\/words/,
  );
});

test.each<[string, VocabPartitionOptions, number[]]>([
  ['an array', { counts: [3, 0, 1.5] }, [3, 0, 1.5]],
  ['a typed array', { counts: Uint16Array.of(3, 0, 1) }, [3, 0, 1]],
  ['by word', { counts: { of: 5, the: 9 }, vocabulary: ['the', 'a', 'of'] }, [9, 0, 5]],
])('given counts, %s, are handed on and nothing is observed', async (_, options, counts) => {
  expect(await countsAfter(options, {}, counts.length)).toEqual(counts);
});

test('the partitioner is the one of the options', async () => {
  const { session, got } = await open({ counts: [5, 4, 1, 1], method: 'k-means', blocks: 2 });
  await fitNothing(session);
  const [partition] = got.partitioner!.candidates(Float64Array.of(500, 400, 2, 1));
  expect(partition!.sizes).toEqual([2, 2]);
  expect(got.partitioner!.name).toBe('k-means, 2, refined');
  await session.dispose();
});

const embed = (name: string, input: SymbolicTensor) =>
  tfl.layers.embedding({ name, inputDim: WORDS, outputDim: 2 }).apply(input) as SymbolicTensor;
const logitsOf = (parts: SymbolicTensor[]) => {
  const [first, ...others] = parts.map(
    (part) => tfl.layers.flatten().apply(part) as SymbolicTensor,
  );
  const joined = others.length > 0 ? tfl.layers.concatenate().apply([first!, ...others]) : first!;
  return tfl.layers.dense({ units: 3 }).apply(joined) as SymbolicTensor;
};
const idsInput = (name: string) => tfl.input({ shape: [3], name, dtype: 'int32' });
const sourceOf = (x: Record<string, Int32Array>) =>
  arraySource({
    x: Object.fromEntries(
      Object.entries(x).map(([name, data]) => [name, { data, shape: [16, 3] }]),
    ),
    y: { data: Int32Array.from({ length: 16 }, (_, i) => i % 3), shape: [16] },
    batchSize: 4,
  });

test('one embedding of two inputs: both hold words', async () => {
  const model = () => {
    const [left, right] = [idsInput('left'), idsInput('right')];
    const shared = tfl.layers.embedding({ inputDim: WORDS, outputDim: 2 });
    const parts = [left, right].map((each) => shared.apply(each) as SymbolicTensor);
    return tfl.model({ inputs: [left, right], outputs: logitsOf(parts) });
  };
  const train = sourceOf({ left: IDS, right: IDS.map((id) => id + 1) });
  const counts = await countsAfter({}, { model, train });
  expect(counts).toEqual(countsOf([...IDS, ...IDS.map((id) => id + 1)]));
});

test('embeddings of different inputs: the user says which holds the words', async () => {
  const model = () => {
    const [words, places] = [idsInput('words'), idsInput('places')];
    const parts = [embed('word', words), embed('place', places)];
    return tfl.model({ inputs: [words, places], outputs: logitsOf(parts) });
  };
  const train = sourceOf({ words: IDS, places: IDS.map(() => 0) });
  await expect(fail({}, { model, train })).rejects.toThrow(
    /vocab-partition.*different inputs \('words'; 'places'\).*vocab-partition\/input/,
  );
  expect(await countsAfter({ input: 'words' }, { model, train })).toEqual(countsOf(IDS));
});

test('a reshaped input still holds words', async () => {
  const model = () => {
    const tokens = idsInput('tokens');
    const shaped = tfl.layers.reshape({ targetShape: [3, 1] }).apply(tokens) as SymbolicTensor;
    return tfl.model({ inputs: tokens, outputs: logitsOf([embed('word', shaped)]) });
  };
  expect(await countsAfter({}, { model })).toEqual(countsOf(IDS));
});

const dense = () =>
  tfl.sequential({ layers: [tfl.layers.dense({ name: 'logits', units: 3, inputShape: [3] })] });

test.each<[string, VocabPartitionOptions, Partial<SessionConfig>, RegExp]>([
  [
    'a model without an embedding',
    {},
    { model: dense },
    /no input of the model feeds an embedding.*vocab-partition\/input/,
  ],
  ['an unknown input', { input: 'token' }, {}, /no input 'token'.*tokens.*vocab-partition\/input/],
  ['negative counts', { counts: [1, -2] }, {}, /word 1 .*-2.*vocab-partition\/counts/],
  ['counts that are NaN', { counts: [NaN] }, {}, /word 0 .*NaN.*vocab-partition\/counts/],
  ['zeros', { counts: [0, 0] }, {}, /all word counts are zero/],
  [
    'words that nobody counted',
    { counts: { The: 1 }, vocabulary: ['the'] },
    {},
    /none of the 1 counted words/,
  ],
  [
    'counts by word alone',
    { counts: { the: 1 } },
    {},
    /option 'vocabulary': goes with counts by word/,
  ],
  [
    'a vocabulary alone',
    { vocabulary: ['the'] },
    {},
    /option 'vocabulary': goes with counts by word/,
  ],
  [
    'an input beside counts',
    { counts: [1], input: 'tokens' },
    {},
    /option 'input': goes with counts: 'observe'/,
  ],
  ['cut-offs of another method', { cutoffs: [1] }, {}, /option 'cutoffs': goes with method/],
  ['cut-offs that are missing', { method: 'cut-offs' }, {}, /option 'cutoffs': goes with method/],
  ['an unknown method', { method: 'kmeans' as never }, {}, /option 'method'/],
])('refuses %s', async (_, options, more, message) => {
  await expect(async () => fail(options, more)).rejects.toThrow(message);
});

test('an input that holds no word ids is refused, naming it', async () => {
  const model = () => {
    const tokens = idsInput('tokens');
    const sizes = tfl.input({ shape: [3, 1], name: 'sizes' });
    return tfl.model({
      inputs: [tokens, sizes],
      outputs: logitsOf([embed('word', tokens), sizes]),
    });
  };
  const half = { data: Float32Array.from(IDS, (id) => id + 0.5), shape: [16, 3, 1] };
  const train = arraySource({
    x: { tokens: { data: IDS, shape: [16, 3] }, sizes: half },
    y: { data: Int32Array.from({ length: 16 }, (_, i) => i % 3), shape: [16] },
    batchSize: 4,
  });
  await expect(countsAfter({ input: 'sizes' }, { model, train })).rejects.toThrow(
    /vocab-partition\] afterStep.*'sizes' must hold word ids.*vocab-partition\/word-id/,
  );
});
