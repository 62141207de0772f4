import { compressionReport } from '@espalier/compression';
import { createSession, crossEntropy, resolvePreset, sgd } from '@espalier/core';
import type { Preset, Session } from '@espalier/core';
import { groupReduce, quantizeOnly, svd, weightedSvd } from '@espalier/preset-group-reduce';
import type { GroupReduceOptions } from '@espalier/preset-group-reduce';
import { backendsUnderTest, liveTensors, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { counts, languageModel, LAYERS, text } from './models.js';

const STAGES = {
  partition: 'vocab-partition',
  importance: 'word-importance',
  ranks: 'rank-rule',
  lowRank: 'block-low-rank',
  quantizer: 'quantizer',
} as const;
const ALL = Object.values(STAGES);

/** A session with a preset that went through JSON. */
const open = (preset: Preset): Promise<Session> =>
  createSession({
    model: languageModel,
    preset: JSON.parse(JSON.stringify(preset)) as Preset,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.5 }),
    train: text(),
    backend: { prefer: [tf.getBackend() === 'wasm' ? 'wasm' : 'cpu'] },
  });

const idsOf = ({ plugins }: { readonly plugins: readonly { readonly id: string }[] }) =>
  plugins.map(({ id }) => id).sort();

const SMALL: GroupReduceOptions = {
  partition: { counts, blocks: 3 },
  lowRank: { layers: LAYERS, ratio: 1.5 },
  quantizer: { minSize: 16 },
};

describe('as data', () => {
  test('resolves to the paper’s stages', async () => {
    const preset = JSON.parse(JSON.stringify(groupReduce())) as Preset;
    const resolved = await resolvePreset(preset);
    expect(idsOf(resolved)).toEqual([...ALL].sort());
    const options = Object.fromEntries(resolved.plugins.map((each) => [each.id, each.options]));
    expect(options).toMatchObject({
      'vocab-partition': { counts: 'observe', method: 'equal-size' },
      'word-importance': { rows: 'counts', metric: 'euclidean' },
      'rank-rule': { rule: 'proportional' },
      quantizer: { bits: 8 },
    });
  });

  test.each(Object.entries(STAGES))('%s is a switch', async (stage, id) => {
    const resolved = await resolvePreset(groupReduce({ [stage]: false }));
    expect(idsOf(resolved)).toEqual(ALL.filter((each) => each !== id).sort());
  });

  test('tells what the caller set from the paper’s choices', async () => {
    const { manifest } = await resolvePreset(groupReduce({ quantizer: { bits: 4 } }));
    expect(manifest.plugins['quantizer']!.options).toMatchObject({ bits: 4 });
    expect(manifest.plugins['quantizer']!.origins).toMatchObject({
      'options.bits': 'preset group-reduce with options',
    });
    expect(manifest.plugins['rank-rule']!.origins).toMatchObject({
      'options.rule': 'preset group-reduce',
    });
    expect(JSON.parse(JSON.stringify(manifest))).toEqual(manifest);
  });

  test.each<[unknown, RegExp]>([
    [{ quantiser: false }, /preset 'group-reduce': unknown option 'quantiser'.*'quantizer'\?/],
    [{ lowRank: { ratoi: 4 } }, /unknown option 'lowRank.ratoi'.*'ratio'\?/],
    [{ partition: { block: 5 } }, /unknown option 'partition.block'.*'blocks'\?/],
    [{ lowRank: true }, /preset 'group-reduce': option 'lowRank'.*received true/],
    [{ quantizer: { bits: 5 } }, /preset 'group-reduce': option 'quantizer/],
  ])('refuses %j by name', (options, message) => {
    expect(() => groupReduce(options as GroupReduceOptions)).toThrow(message);
  });

  test.each<[string, Preset, readonly string[]]>([
    ['svd', svd({ ratio: 4 }), ['block-low-rank']],
    [
      'weighted-svd',
      weightedSvd({ counts, ratio: 4 }),
      ['block-low-rank', 'vocab-partition', 'word-importance'],
    ],
    ['quantize-only', quantizeOnly({ bits: 4 }), ['quantizer']],
  ])('baseline %s', async (name, preset, ids) => {
    expect(preset.name).toBe(name);
    expect(idsOf(await resolvePreset(JSON.parse(JSON.stringify(preset)) as Preset))).toEqual(ids);
  });
});

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('transforms in two stages with retraining between, and leaves no tensor', async () => {
    const before = liveTensors();
    await withSession(open(groupReduce(SMALL)), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform({ plugins: ['block-low-rank'] });
      const [low] = (await session.fit({ untilEpoch: 2 })).history.slice(-1);
      expect(low!.metrics['loss']).toBeGreaterThan(0);
      await session.transform({ plugins: ['quantizer'] });
      const account = compressionReport(session.inspect().edits);
      expect(account.map(({ plugin, layer }) => `${plugin} ${layer}`)).toEqual([
        'block-low-rank words',
        'block-low-rank softmax',
        'quantizer words',
        'quantizer softmax',
      ]);
      for (const { bytesBefore, bytesAfter } of account) {
        expect(bytesAfter).toBeLessThan(bytesBefore);
      }
      const classes = LAYERS.map((name) => session.model.getLayer(name).getClassName());
      expect(classes).toEqual(['BlockLowRankEmbedding', 'BlockLowRankDense']);
    });
    expect(liveTensors()).toBe(before);
  });

  test('all at once: quantization comes last', async () => {
    await withSession(open(groupReduce(SMALL)), async (session) => {
      await session.transform();
      const account = compressionReport(session.inspect().edits);
      expect(account.map(({ plugin }) => plugin)).toEqual([
        'block-low-rank',
        'block-low-rank',
        'quantizer',
        'quantizer',
      ]);
    });
  });

  test('with words counted in training', async () => {
    const preset = groupReduce({ ...SMALL, partition: { blocks: 2 } });
    await withSession(open(preset), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      expect(compressionReport(session.inspect().edits)[0]!.summary).toMatch(/^2 blocks/);
    });
  });

  test.each<[string, Preset, readonly string[]]>([
    ['svd', svd({ layers: LAYERS, ratio: 2 }), ['BlockLowRankEmbedding', 'BlockLowRankDense']],
    [
      'weighted svd',
      weightedSvd({ counts, layers: LAYERS, ratio: 2 }),
      ['BlockLowRankEmbedding', 'BlockLowRankDense'],
    ],
    [
      'quantization alone',
      quantizeOnly({ layers: LAYERS, minSize: 16 }),
      ['StoredEmbedding', 'StoredDense'],
    ],
  ])('baseline: %s', async (_, preset, classes) => {
    await withSession(open(preset), async (session) => {
      await session.transform();
      expect(LAYERS.map((name) => session.model.getLayer(name).getClassName())).toEqual(classes);
      const account = compressionReport(session.inspect().edits);
      expect(account.length).toBe(2);
      for (const { bytesBefore, bytesAfter } of account) {
        expect(bytesAfter).toBeLessThan(bytesBefore);
      }
    });
  });

  test('svd has the least plain error, weighted svd the least weighted one', async () => {
    const errors = async (preset: Preset) =>
      withSession(open(preset), async (session) => {
        await session.transform();
        return compressionReport(session.inspect().edits)[0]!;
      });
    const plain = await errors(svd({ layers: LAYERS, ratio: 2 }));
    const weighted = await errors(weightedSvd({ counts, layers: LAYERS, ratio: 2 }));
    expect(plain.relativeError).toBeLessThan(weighted.relativeError);
    expect(weighted.weightedError).toBeLessThan(weighted.relativeError);
    expect(weighted.bytesAfter).toBe(plain.bytesAfter);
  });
});
