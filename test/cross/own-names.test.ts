import { arraySource, createSession, crossEntropy, extractGraph, sgd } from '@espalier/core';
import type { Plugin, Session, SessionConfig, Source } from '@espalier/core';
import { mixup } from '@espalier/plugin-augmentation';
import { blockLowRank, rankRule, wordImportance } from '@espalier/plugin-block-low-rank';
import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { prune } from '@espalier/plugin-prune';
import { quantizer } from '@espalier/plugin-quantizer';
import { teacher } from '@espalier/plugin-soft-targets';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { byot } from '@espalier/preset-baselines';
import { onBackend, tinySource, withSession } from '@espalier/testkit';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;

/** Names of layers, as a run calls them or as tfjs does. */
type Names = readonly string[];

interface Case {
  readonly model: () => LayersModel;
  /** As the run calls them. */
  readonly canonical: Names;
  readonly config: (names: Names) => Partial<SessionConfig>;
  readonly use?: (session: Session) => unknown;
}

const dense = (): LayersModel =>
  tfl.sequential({
    layers: [
      layers.dense({ units: 40, inputShape: [6] }),
      layers.dense({ units: 8 }),
      layers.dense({ units: 3 }),
    ],
  });

const words = (): LayersModel =>
  tfl.sequential({
    layers: [
      layers.embedding({ inputDim: 40, outputDim: 6, inputLength: 6 }),
      layers.flatten(),
      layers.dense({ units: 40 }),
    ],
  });

const COUNTS = Array.from({ length: 40 }, (_, i) => 40 - i);

/** Six words of 40, and the first of them. */
function ids(): Source {
  const x = Int32Array.from({ length: 72 }, (_, i) => (i * 7) % 40);
  const y = Int32Array.from({ length: 12 }, (_, i) => x[6 * i]!);
  return arraySource({
    x: { data: x, shape: [12, 6] },
    y: { data: y, shape: [12] },
    batchSize: 6,
  });
}

const DENSE = ['input_1', 'dense_1', 'dense_2', 'dense_3'];
const WORDS = ['input_1', 'embedding_1', 'flatten_1', 'dense_1'];
const plugins = (...all: readonly Plugin[]) => ({ plugins: all });
const transform = (session: Session) => session.transform();

/** Every option of a plugin or preset that names layers, inputs or outputs of the model. */
const CASES: Readonly<Record<string, Case>> = {
  'multiExit: at': {
    model: dense,
    canonical: DENSE,
    config: ([, one, two]) => plugins(multiExit({ at: [one!, two!] })),
  },
  'multiExit: at, one; output': {
    model: dense,
    canonical: DENSE,
    config: ([, one, , three]) => plugins(multiExit({ at: one!, output: three! })),
  },
  'multiExit: at, a pattern': {
    model: dense,
    canonical: DENSE,
    config: ([, one]) => plugins(multiExit({ at: `${one!}*` })),
  },
  byot: {
    model: dense,
    canonical: DENSE,
    config: ([, one]) => ({ preset: byot({ at: [one!], branch: 'linear', hint: 0 }) }),
  },
  'quantizer: layers, matrices': {
    model: dense,
    canonical: DENSE,
    config: ([, one, two]) =>
      plugins(quantizer({ layers: [one!, two!], matrices: { [`${two!}/kernel`]: { bits: 4 } } })),
    use: transform,
  },
  'prune: layers': {
    model: dense,
    canonical: DENSE,
    config: ([, one]) => plugins(prune({ layers: [one!] })),
    use: transform,
  },
  'blockLowRank: layers; wordImportance: softmax': {
    model: words,
    canonical: WORDS,
    config: ([, embedding, , softmax]) => ({
      ...plugins(
        wordImportance({ rows: 'uniform', metric: 'hidden-covariance', softmax: softmax! }),
        rankRule(),
        blockLowRank({ layers: [embedding!, softmax!], ratio: 1.5 }),
        vocabPartition({ counts: COUNTS, blocks: 2 }),
      ),
      train: ids(),
    }),
    use: async (session) => {
      await session.evaluate(ids());
      await session.transform();
    },
  },
  'mixup: input': {
    model: dense,
    canonical: DENSE,
    config: ([input]) => plugins(mixup({ input: input! })),
  },
  'vocabPartition: input': {
    model: words,
    canonical: WORDS,
    config: ([input]) => ({
      ...plugins(vocabPartition({ counts: 'observe', input: input! })),
      train: ids(),
    }),
  },
  'teacher: exits': {
    model: dense,
    canonical: DENSE,
    config: ([, , , three]) =>
      plugins(teacher({ model: dense, exits: [three!] }), exitDistillation({ hint: 0 })),
  },
  losses: {
    model: dense,
    canonical: DENSE,
    config: ([, , , three]) => ({ loss: { [three!]: crossEntropy() } }),
  },
};

/** What came of the names: the model after all, its edits, the terms of the loss, the exits that learn. */
async function outcome({ model: make, config, use }: Case, canonical?: Names): Promise<unknown> {
  const model = make();
  const names = canonical ?? [model.inputs[0]!.name, ...model.layers.map(({ name }) => name)];
  const session = createSession({
    model,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource({ batchSize: 12 }),
    ...config(names),
  });
  return withSession(session, async (run) => {
    const { history } = await run.fit({ epochs: 1 });
    await use?.(run);
    const { layers: all } = extractGraph(run.model).topology.config;
    const { outputs, edits } = run.inspect();
    return {
      layers: all.map(({ name, className }) => [name, className]),
      storages: all.map(({ config: of }) => of['storage']),
      outputs,
      edits: edits.map(({ plugin, phase }) => [plugin, phase]),
      terms: Object.keys(history[0]!.metrics),
    };
  });
}

test.each(Object.entries(CASES))('%s', async (_name, each) => {
  const due = await outcome(each, each.canonical);
  expect(await outcome(each)).toEqual(due);
});
