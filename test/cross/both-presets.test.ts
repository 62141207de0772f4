import { compressionReport } from '@espalier/compression';
import type { RowDecoder } from '@espalier/compression';
import { createSession, crossEntropy, extractGraph, memoryStore, sgd } from '@espalier/core';
import type { Preset, Session, SessionConfig } from '@espalier/core';
import { predictEarly } from '@espalier/plugin-multi-exit';
import {
  firstDifference,
  liveTensors,
  onBackend,
  trainedValues,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import type { Values } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { both, text, textModel, WORDS } from './fixtures/both-presets-parts.js';

beforeAll(() => onBackend('cpu'));

/** The same with one matrix for words and softmax. */
function tiedModel(): tfl.LayersModel {
  const model = textModel();
  tf.tidy(() => {
    const [matrix] = model.getLayer('words').getWeights();
    const bias = model.getLayer('softmax').getWeights()[1]!;
    model.getLayer('softmax').setWeights([tf.transpose(matrix!), bias]);
  });
  return model;
}

const open = (more: Partial<SessionConfig> = {}): Promise<Session> =>
  createSession({
    model: textModel,
    preset: both,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.2, momentum: 0.9 }),
    train: text(),
    validation: text({ seed: 2 }),
    seed: 5,
    ...more,
  });

const STAGES = [['block-low-rank'], ['quantizer']];
const LOW_RANK = { permuted: true, blocks: [{ rows: 24 }, { rows: 24 }] };

test('train, transform, retrain, quantize, export; each stage resumes bit for bit', async () => {
  const before = liveTensors();
  const stores = STAGES.map(() => memoryStore());
  const [whole, predicted] = await withSession(open(), async (session) => {
    await session.fit({ epochs: 1 });
    for (const [i, plugins] of STAGES.entries()) {
      await session.transform({ plugins });
      await session.save(stores[i]);
      await session.fit({ epochs: 1 });
    }
    expect(entryOf(session, 'words')).toMatchObject({
      className: 'BlockLowRankEmbedding',
      config: { ...LOW_RANK, storage: { basis: { kind: 'uniform', bits: 8 } } },
    });
    expect(entryOf(session, 'softmax')).toMatchObject({ config: LOW_RANK });
    expect(entryOf(session, 'exit_1')).toMatchObject({ className: 'StoredDense' });
    const account = compressionReport(session.inspect().edits);
    expect(account.map(({ plugin, layer }) => `${plugin} ${layer}`)).toEqual([
      ...['words', 'softmax'].map((layer) => `block-low-rank ${layer}`),
      ...['words', 'mix_1', 'mix_2', 'softmax', 'exit_1', 'exit_2'].map((l) => `quantizer ${l}`),
    ]);
    return [valuesOf(session.parameters()), await demandSameExports(session)];
  });
  for (const [i, store] of stores.entries()) {
    await withSession(open(), async (session) => {
      await session.load({ store });
      for (const plugins of [undefined, ...STAGES.slice(i + 1)]) {
        if (plugins) await session.transform({ plugins });
        await session.fit({ epochs: 1 });
      }
      expect(firstDifference(whole, valuesOf(session.parameters()))).toBeUndefined();
      expect(firstDifference(predicted, await demandSameExports(session))).toBeUndefined();
    });
  }
  expect(liveTensors()).toBe(before);
});

test('an exit behind an embedding whose factors the softmax shares follows', async () => {
  const counts = Array.from({ length: WORDS }, (_, i) => WORDS - i);
  const preset: Preset = {
    extends: both,
    plugins: { 'vocab-partition': { options: { counts } } },
  };
  await withSession(open({ model: tiedModel, preset }), async (session) => {
    await session.transform({ plugins: ['block-low-rank'] });
    expect(entryOf(session, 'softmax')).toMatchObject({ className: 'BlockLowRankTiedDense' });
    const values = await trainedValues(session, 1);
    expect([...values.values()].every((each) => each.every(Number.isFinite))).toBe(true);
    await demandSameExports(session);
  });
});

test('two plugins that really clash still conflict', async () => {
  const two: Preset = {
    extends: both,
    plugins: { again: { use: '@espalier/plugin-multi-exit#multiExit' } },
  };
  await expect(open({ preset: two })).rejects.toMatchObject({
    code: 'effects/conflict',
    message: expect.stringMatching(/structure:exits: own.*structure:exits: own/) as string,
  });
});

function entryOf({ model }: Session, layer: string) {
  return extractGraph(model).topology.config.layers.find(({ name }) => name === layer);
}

const IDS = [
  [0, 1, 2, 3],
  [7, 7, 40, 5],
  [47, 0, 12, 30],
];

/** Exports are what the session predicts, in one piece and exit by exit; gives back what that is. */
async function demandSameExports(session: Session): Promise<Values> {
  const x = tf.tensor2d(IDS, undefined, 'int32');
  const outputs = ['exit_1', 'exit_2', 'softmax'];
  const predicted = await session.predict(x);
  const values = valuesOf(predicted);
  const exported = session.export({ outputs });
  const theirs = exported.predict(x) as tf.Tensor[];
  const named = Object.fromEntries(exported.outputNames.map((_, i) => [i, theirs[i]!]));
  const inOrder = [...values.keys()].map((name) => values.get(name)!);
  expect([...valuesOf(named).values()]).toEqual(inOrder);
  for (const [exit, threshold] of [
    [0, 0],
    [2, 2],
  ] as const) {
    const early = await predictEarly(exported, x, { threshold });
    expect(early.exits).toEqual(outputs);
    expect([...new Set(early.exitOf)]).toEqual([exit]);
    const expected = tf.tidy(() => tf.softmax(predicted[outputs[exit]!]!).dataSync());
    early.probabilities.forEach((p, i) => expect(p).toBeCloseTo(expected[i]!, 5));
  }
  firstExitByHand(exported).forEach((logit, i) => {
    expect(values.get('exit_1')![i]).toBeCloseTo(logit, 4);
  });
  tf.dispose([x, predicted, theirs]);
  exported.dispose();
  return values;
}

/** Logits of the exit behind the embedding, from decoded matrices: the mean of rows, times a kernel. */
function firstExitByHand(model: tfl.LayersModel): number[] {
  return tf.tidy(() => {
    const rowsOf = (name: string, count: number) =>
      (model.getLayer(name) as unknown as RowDecoder).decodeRows(tf.range(0, count, 1, 'int32'));
    const words = rowsOf('words', WORDS);
    const exit = model.getLayer('exit_1');
    const kernel =
      exit.getClassName() === 'Dense'
        ? tf.transpose(exit.getWeights()[0]!)
        : rowsOf('exit_1', WORDS);
    const bias = exit.weights.find(({ name }) => name.includes('bias'))!.read();
    const means = tf.stack(IDS.map((ids) => tf.mean(tf.gather(words, ids), 0)));
    return [...tf.add(tf.matMul(means, kernel, false, true), bias).dataSync()];
  });
}
