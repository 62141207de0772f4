import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildConfig, makeSessionConfig, listStages } from '@espalier/config';
import { createSession, EspalierError } from '@espalier/core';
import { deepestExit } from '@espalier/plugin-multi-exit';
import { prune as pruning } from '@espalier/plugin-prune';
import { runStudy, buildStudy } from '@espalier/study';
import type { Change, Executor, TrialEnd, TrialJob } from '@espalier/study';
import { onBackend, valuesOf, withSession } from '@espalier/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { both, text, textModel } from '../cross/fixtures/both-presets-parts.js';

const stages = (...ids: readonly string[]) => [
  { epochs: 1 },
  ...ids.flatMap((id) => [{ transform: [id] }, { epochs: 1 }]),
];

const inOneStage = (...transform: readonly string[]) => [
  { epochs: 1 },
  { transform },
  { epochs: 1 },
];

const BASE = {
  model: './both-presets-parts.ts#textModel',
  data: {
    train: './both-presets-parts.ts#text',
    validation: { use: './both-presets-parts.ts#text', options: { seed: 2 } },
  },
  preset: './both-presets-parts.ts#both',
  loss: 'cross-entropy',
  optimizer: { use: 'sgd', options: { learningRate: 0.2, momentum: 0.9 } },
  stages: stages('block-low-rank', 'quantizer'),
  backend: { prefer: ['cpu'] },
};

/**
 * What a row must come to: parameters and a loss that no row before has (of little effect: parameters),
 * the bits of another, or a refusal by its code.
 */
type Due = 'other' | 'other parameters' | `same as ${string}` | `${string}/${string}`;

const prune = { use: '@espalier/plugin-prune#prune', options: { layers: ['mix_1'], ratio: 1.5 } };
const deepest = { use: '@espalier/plugin-multi-exit#deepestExit' };

const ROWS: Readonly<Record<string, readonly [Due, Change]>> = {
  // Dropped, one by one; what another one needs cannot go alone.
  'no exits': ['services/missing', { drop: 'multi-exit' }],
  'no distillation': ['bilevel/zero', { drop: 'exit-distillation' }],
  'no generator': ['services/missing', { drop: 'label-generator' }],
  'no meta-learning': ['other', { drop: 'bilevel' }],
  'no counts': ['word-importance/counts', { drop: 'vocab-partition' }],
  'no importance': ['other', { drop: 'word-importance' }],
  'no rank rule': ['other', { drop: 'rank-rule' }],
  // The stage of a plugin that is dropped goes with it.
  'no factors': ['other', { drop: 'block-low-rank' }],
  'no codes': ['other', { drop: 'quantizer' }],
  // Dropped together.
  'no method of the first': [
    'other',
    { drop: ['multi-exit', 'exit-distillation', 'label-generator', 'bilevel'] },
  ],
  'no distillation nor meta-learning': ['other', { drop: ['exit-distillation', 'bilevel'] }],
  'no partition at all': ['other', { drop: ['vocab-partition', 'word-importance'] }],
  // Swapped.
  'another teacher': [
    'other',
    { drop: ['bilevel', 'label-generator'], set: { 'plugins.deepest-exit': deepest } },
  ],
  'another estimator': [
    'other parameters',
    { set: { 'plugins.bilevel.options.estimator': 'unroll' } },
  ],
  'another importance': [
    'other',
    { set: { 'plugins.word-importance.options.rows': 'log-counts' } },
  ],
  'importance that is none': [
    'same as no importance',
    { set: { 'plugins.word-importance.options.rows': 'uniform' } },
  ],
  'the rank rule that is the default': [
    'same as no rank rule',
    { set: { 'plugins.rank-rule.options.rule': 'greedy' } },
  ],
  'another partition': ['other', { set: { 'plugins.vocab-partition.options.blocks': 3 } }],
  'fewer bits': ['other', { set: { 'plugins.quantizer.options.bits': 2 } }],
  'pruned, not coded': [
    'other',
    {
      drop: 'quantizer',
      set: { 'plugins.prune': prune, stages: stages('block-low-rank', 'prune') },
    },
  ],
  // In another order.
  'codes before factors': [
    'block-low-rank/layer',
    { set: { stages: stages('quantizer', 'block-low-rank') } },
  ],
  'both in one stage': ['other', { set: { stages: inOneStage('block-low-rank', 'quantizer') } }],
  'both in one stage, named the other way round': [
    'same as both in one stage',
    { set: { stages: inOneStage('quantizer', 'block-low-rank') } },
  ],
};

/** What rows name beside the plugins of the presets. */
const modules = {
  '@espalier/plugin-multi-exit': { deepestExit },
  '@espalier/plugin-prune': { prune: pruning },
};

/** The bits of the trained parameters and the loss on the validation data, by row. */
const trained = new Map<string, { readonly bits: string; readonly loss: number }>();

/** Runs a trial in this process. */
const executor: Executor = {
  slots: 1,
  run: (job) =>
    compute(job).catch((error: unknown): TrialEnd => {
      if (!(error instanceof EspalierError)) throw error;
      return { status: 'failed', code: error.code, message: error.message };
    }),
};

async function compute({ base, file, sets, seed, row }: TrialJob): Promise<TrialEnd> {
  const loaded = buildConfig(base, { file, sets });
  // What files name was loaded as processes of their own would: here, one copy of each package.
  const own = { preset: both, model: textModel, train: text(), validation: text({ seed: 2 }) };
  const config = { ...(await makeSessionConfig(loaded)), load: undefined };
  const opening = createSession({ ...config, ...own, modules, seed });
  return withSession(opening, async (session) => {
    const { metrics: measured } = await session.runStages(listStages(loaded));
    const loss = measured['val/loss']!;
    trained.set(row, { bits: bitsOf(valuesOf(session.parameters())), loss });
    const metrics = { loss };
    const cost = { seconds: 1, cpuSeconds: 1, peakMemory: 1, modelBytes: 1, macs: null };
    return { status: 'done', result: { metrics, history: [], cost } };
  });
}

function bitsOf(values: ReturnType<typeof valuesOf>): string {
  return JSON.stringify([...values].map(([path, numbers]) => [path, Array.from(numbers)]));
}

let dir: string;
beforeAll(async () => {
  await onBackend('cpu');
  dir = await mkdtemp(join(tmpdir(), 'espalier-components-'));
});
afterAll(() => rm(dir, { recursive: true }));

function studyOf(levels: Readonly<Record<string, Change>>) {
  const study = { base: BASE as never, factors: { levels }, seeds: 1, primary: 'loss', dir };
  return buildStudy(study, fileURLToPath(new URL('../cross/fixtures/study.json', import.meta.url)));
}

test('every component of both presets acts: dropped, swapped and in another order', async () => {
  const levels = Object.entries(ROWS).map(([name, [, change]]) => [name, change] as const);
  const { failed } = await runStudy(await studyOf(Object.fromEntries(levels)), { executor });
  const codes = failed.map(
    (trial) => [trial.row, 'failure' in trial && trial.failure.code] as const,
  );
  const known = new Map(codes);
  const found = Object.keys(ROWS).map((name) => [name, known.get(name) ?? becameOf(name)]);
  const due = Object.entries(ROWS).map(([name, [each]]) => [name, each]);
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(due));
});

test('presets written the other way round are the same run', async () => {
  const study = await studyOf({ turned: { preset: './both-presets-parts.ts#otherWayRound' } });
  await expect(runStudy(study, { executor })).rejects.toMatchObject({
    code: 'study/duplicate',
    message: expect.stringContaining("'turned' and 'base' are the same run") as string,
  });
});

/** What came of a row, beside those before it. */
function becameOf(name: string): string {
  const row = trained.get(name)!;
  const before = [...trained].slice(0, [...trained.keys()].indexOf(name));
  const same = before.find(([, { bits }]) => bits === row.bits);
  if (same)
    return same[1].loss === row.loss ? `same as ${same[0]}` : `another loss than ${same[0]}`;
  if (!Number.isFinite(row.loss)) return String(row.loss);
  return before.some(([, { loss }]) => loss === row.loss) ? 'other parameters' : 'other';
}
