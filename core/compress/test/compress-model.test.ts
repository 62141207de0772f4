import { compressModel, listBytes, measureFidelity, modelFromStateDict } from '@espalier/compress';
import type { CompressEvent, CompressOptions } from '@espalier/compress';
import { disposeModel, EspalierError, extractGraph, keyedRng } from '@espalier/core';
import { countBytes, packArtifact } from '@espalier/formats';
import { groupReduce, quantizeOnly, svd } from '@espalier/preset-group-reduce';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';

const [WORDS, SIZE] = [120, 16];
const LAYERS = ['words'];
let model: LayersModel;

function makeModel(): LayersModel {
  const draw = keyedRng(0, 'compress', 'words');
  const data = Float32Array.from({ length: WORDS * SIZE }, () => draw() - 0.5);
  return modelFromStateDict(new Map([['words', { dtype: 'F32', shape: [WORDS, SIZE], data }]]))
    .model;
}

beforeAll(() => onBackend('cpu'));
beforeEach(() => {
  model = makeModel();
});
afterEach(() => disposeModel(model));

async function refuse(options: CompressOptions): Promise<EspalierError> {
  const error: unknown = await compressModel(model, options).catch((thrown: unknown) => thrown);
  if (error instanceof EspalierError) return error;
  throw new Error('it was not refused');
}

it('takes a module that is called as the input of another', () => {
  const tensor = { dtype: 'F32', shape: [4, 3], data: new Float32Array(12) } as const;
  const { model: joined } = modelFromStateDict(
    new Map([
      ['a.weight', tensor],
      ['a_inputs.weight', tensor],
    ]),
  );
  expect(joined.inputs.map(({ sourceLayer }) => sourceLayer.name)).toEqual([
    'a_inputs_',
    'a_inputs_inputs',
  ]);
  disposeModel(joined);
});

it('takes the names that the layers have in TensorFlow.js', async () => {
  const unnamed = tfl.sequential({
    layers: [tfl.layers.embedding({ inputDim: WORDS, outputDim: SIZE, inputLength: 2 })],
  });
  const { name } = unnamed.layers[0]!;
  expect(name).toMatch(/^embedding_Embedding\d+$/);
  const { model: made, steps } = await compressModel(unnamed, {
    preset: svd(),
    ratio: 2,
    layers: [name],
  });
  expect(steps.map(({ layer }) => layer)).toEqual(['embedding_1']);
  [unnamed, made].forEach(disposeModel);
});

it('makes the matrices smaller by the ratio, codes included, and leaves the model as it is', async () => {
  const values = () =>
    Object.values(extractGraph(model).weights).map((weight) => weight.dataSync());
  const before = values();
  const tensors = tf.memory().numTensors;
  const events: CompressEvent[] = [];
  const compressed = await compressModel(model, {
    preset: groupReduce(),
    ratio: 6,
    layers: LAYERS,
    onEvent: (event) => events.push(event),
  });

  expect(compressed.steps.map(({ plugin }) => plugin)).toEqual(['block-low-rank', 'quantizer']);
  expect(compressed.leftOut).toContain('vocab-partition');
  expect(events).toContainEqual({ type: 'progress', what: 'words factorised', done: 1, total: 1 });
  const sizes = {
    before: countBytes(await packArtifact({ model })),
    after: countBytes(await packArtifact({ model: compressed.model })),
    rest: { tensors: [], bytes: 0 },
    compressed,
  };
  const row = listBytes(sizes).find(({ what }) => what === 'words')!;
  expect(row.before).toBe(4 * WORDS * SIZE);
  expect(row.after).toBeLessThanOrEqual(row.before / 6);
  disposeModel(compressed.model);
  expect(tf.memory().numTensors).toBe(tensors);
  expect(values()).toEqual(before);
});

it('keeps the largest error, and measures it', async () => {
  const compressed = await compressModel(model, { preset: svd(), maxError: 0.4, layers: LAYERS });
  const [fidelity] = await measureFidelity({ original: model, compressed });
  disposeModel(compressed.model);
  expect(fidelity!.error).toBeLessThanOrEqual(0.4);
  expect(fidelity!.error).toBeGreaterThan(0.1);
  expect(fidelity!.deciles?.errors).toHaveLength(10);
});

it('weights the error by word counts', async () => {
  const counts = Array.from({ length: WORDS }, (_, id) => WORDS - id);
  const preset = groupReduce();
  const compressed = await compressModel(model, { preset, counts, ratio: 6, layers: LAYERS });
  const [fidelity] = await measureFidelity({ original: model, compressed, counts });
  disposeModel(compressed.model);
  expect(compressed.leftOut).toEqual([]);
  expect(fidelity!.weightedError).toBeLessThan(fidelity!.error);
});

it.each<[string, CompressOptions, string, object | undefined]>([
  ['a ratio of 1', { preset: svd(), ratio: 1 }, 'options/invalid', undefined],
  ['two targets', { preset: svd(), ratio: 2, budget: 9 }, 'compress/targets', undefined],
  [
    'a target without a plugin that takes it',
    { preset: quantizeOnly(), ratio: 9 },
    'compress/no-plugin',
    { option: 'ratio', plugins: ['block-low-rank', 'prune', 'block-codes'], preset: ['quantizer'] },
  ],
  ['blocks without counts', { preset: groupReduce(), blocks: 2 }, 'compress/no-counts', undefined],
  [
    'a ratio that codes reach alone',
    { preset: svd(), bits: 8, ratio: 4, layers: LAYERS },
    'compress/reached-by-bits',
    { bits: 8, ratio: 4 },
  ],
])('refuses %s', async (_, options, code, details) => {
  const error = await refuse(options);
  expect(error.code).toBe(code);
  expect(error.parts.details).toEqual(details);
});

it('refuses an impossible target with the limits of the whole compression', async () => {
  const options = { preset: svd(), bits: 4, layers: LAYERS } as const;
  const { code, parts } = await refuse({ ...options, budget: 10 });
  expect(code).toBe('compress/impossible-target');
  // Two factors of rank 1 in codes of 4 bits, and a twenty-fifth for their scales.
  const leastBytes = Math.ceil((WORDS + SIZE) * 4 * (4 / 32) * 1.04);
  expect(parts.details).toEqual({ layer: 'words', leastBytes, smallestBudget: leastBytes });
  const { parts: others } = await refuse({ ...options, ratio: 5000 });
  const { largestRatio } = others.details as { largestRatio: number };
  expect(largestRatio).toBeCloseTo((4 * WORDS * SIZE) / (4 * (WORDS + SIZE) * (4 / 32) * 1.04), 0);
});
