import { EspalierError } from '@espalier/core';
import { groupReduce } from '@espalier/preset-group-reduce';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { attach } from '../src/index.js';
import { fill, labels } from './models.js';

beforeAll(() => onBackend('cpu'));

const WORDS = 40;
const EXAMPLES = 8;
const { layers } = tfl;

function classifier(): LayersModel {
  const model = fill(
    tfl.sequential({
      layers: [
        layers.embedding({ inputDim: WORDS, outputDim: 12, inputLength: 3, name: 'words' }),
        layers.flatten(),
        layers.dense({ units: 3, activation: 'softmax', name: 'head' }),
      ],
    }),
  );
  model.compile({
    optimizer: tf.train.adam(0.02),
    loss: 'categoricalCrossentropy',
    metrics: ['accuracy'],
  });
  return model;
}

const ids = () =>
  tf.tensor2d(
    Int32Array.from({ length: EXAMPLES * 3 }, (_, i) => (i * 11) % WORDS),
    [EXAMPLES, 3],
    'int32',
  );
const values = (tensor: tf.Tensor) => [...tensor.dataSync()];
const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return error instanceof EspalierError ? error.code : String(error);
  }
  return undefined;
};

async function save(model: LayersModel): Promise<tf.io.ModelArtifacts> {
  let saved!: tf.io.ModelArtifacts;
  const modelArtifactsInfo = { dateSaved: new Date(0), modelTopologyType: 'JSON' as const };
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      saved = artifacts;
      return Promise.resolve({ modelArtifactsInfo });
    }),
  );
  return saved;
}

test('where a transform replaced layers, the model is the live network', async () => {
  const model = classifier();
  const counts = Float64Array.from({ length: WORDS }, (_, i) => WORDS - i);
  const run = await attach(
    model,
    groupReduce({
      partition: { counts, blocks: 2 },
      lowRank: { ratio: 2, minSize: 1 },
      quantizer: false,
    }),
  );
  const how = { epochs: 1, batchSize: 4, verbose: 0 } as const;
  const data = () => [ids(), labels(EXAMPLES)] as const;
  await model.fit(...data(), how);
  const before = values(model.layers[0]!.weights[0]!.read());

  await run.transform('block-low-rank');
  await model.fit(...data(), { ...how, validationSplit: 0.5 });

  const live = await run.session.predict(ids());
  const guess = model.predict(ids()) as tf.Tensor;
  expect(values(guess)).toEqual(values(live['head']!));
  const [loss] = model.evaluate(...data()) as tf.Scalar[];
  const { loss: expected } = await run.session.evaluate({
    fingerprint: () => Promise.resolve(''),
    async *iterate() {
      yield { x: ids(), y: labels(EXAMPLES) };
    },
  });
  expect(loss!.dataSync()[0]).toBeCloseTo(expected!, 5);

  const [words, kernel] = model.getWeights();
  expect(words!.shape).toEqual([WORDS, 12]);
  expect(values(words!)).not.toEqual(before);
  expect(kernel!.shape).toEqual([36, 3]);
  expect(JSON.stringify((await save(model)).modelTopology)).toContain('BlockLowRank');
  expect(codeOf(() => model.setWeights([]))).toBe('attach/replaced');
  expect(codeOf(() => model.getLayer('words').setWeights([]))).toBe('attach/replaced');
  expect(codeOf(() => model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' }))).toBe(
    'attach/replaced',
  );

  const dense = run.export({ dense: true });
  const decoded = dense.predict(ids()) as tf.Tensor;
  await run.detach();
  const kept = model.predict(ids()) as tf.Tensor;
  expect(values(kept)).toEqual(values(decoded));
  const difference = tf.max(tf.abs(tf.sub(kept, guess))).dataSync()[0]!;
  expect(difference).toBeLessThan(1e-5);
  await model.fit(...data(), how);
});
