import { createSession, crossEntropy, disposeModel, sgd } from '@espalier/core';
import { groupReduce } from '@espalier/preset-group-reduce';
import { liveTensors, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { counts, text } from './models.js';

beforeAll(() => onBackend('cpu'));

/** Without names: what tfjs calls the layers is what the options say. */
function unnamed(): tfl.Sequential {
  const { embedding, globalAveragePooling1d, dense } = tfl.layers;
  return tfl.sequential({
    layers: [
      embedding({ inputDim: counts.length, outputDim: 8, inputLength: 4 }),
      globalAveragePooling1d({}),
      dense({ units: 8 }),
      dense({ units: counts.length }),
    ],
  });
}

test('low rank, then codes, of a model that is given itself, by the names of its layers', async () => {
  const model = unnamed();
  const [words, , middle, softmax] = model.layers as [
    tfl.layers.Layer,
    tfl.layers.Layer,
    tfl.layers.Layer,
    tfl.layers.Layer,
  ];
  const read = (layer: tfl.layers.Layer) => layer.getWeights().map((each) => [...each.dataSync()]);
  const live = liveTensors();
  const session = createSession({
    model,
    preset: groupReduce({
      partition: { counts, blocks: 3 },
      lowRank: { layers: [words.name, softmax.name], ratio: 1.5 },
      quantizer: { layers: [softmax.name] },
    }),
    loss: { [softmax.name]: crossEntropy() },
    optimizer: sgd({ learningRate: 0.5 }),
    train: text(),
  });
  await withSession(session, async (run) => {
    await run.fit({ epochs: 1 });
    const last = [words, softmax].map(read);
    const classes = () => run.model.layers.map((layer) => layer.getClassName());
    for (const plugins of [['block-low-rank'], ['quantizer']]) {
      await run.transform({ plugins });
      const before = read(middle);
      await run.fit({ epochs: 1 });
      expect(read(middle)).not.toEqual(before);
      expect(read(middle)).toEqual(read(run.model.getLayer('dense_1')));
      expect([words, softmax].map(read)).toEqual(last);
    }
    expect(classes()).toContain('BlockLowRankEmbedding');
    expect(run.inspect().edits).toHaveLength(2);
  });
  expect(liveTensors()).toBe(live);
  tf.tidy(() => void model.predict(tf.zeros([1, 4], 'int32')));
  disposeModel(model);
});
