import { arraySource, binaryCrossEntropy, crossEntropy, tfjs } from '@espalier/core';
import type { SessionConfig } from '@espalier/core';
import { balanceClasses, classWeights, countClasses } from '@espalier/plugin-everyday';
import {
  firstDifference,
  onBackend,
  tinyData,
  trainedValues,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { binarySource, oneUnit, open } from './support.js';

beforeAll(() => onBackend('cpu'));

const EXAMPLES = 12;
const { x, y } = tinyData({ examples: EXAMPLES });
const table = [0.5, 1, 4];
const batchSize = EXAMPLES;

/** What weights of a source give in place of the plugin. */
const weighted = (weights: Float32Array) => arraySource({ x, y, weights, batchSize });
const train = (more: Partial<SessionConfig>) =>
  withSession(open({ train: arraySource({ x, y, batchSize }), ...more }), (session) =>
    trainedValues(session, 2),
  );

const softmaxModel = () =>
  tfl.sequential({
    layers: [tfl.layers.dense({ units: 3, activation: 'softmax', inputShape: [6] })],
  });

describe('classWeights', () => {
  const byClass = Float32Array.from(y.data, (id) => table[id]!);

  test.each(['espalier', 'tfjs'] as const)(
    'is what weights of the examples are: %s',
    async (semantics) => {
      const mine = await train({ semantics, plugins: [classWeights({ weights: table })] });
      const theirs = await train({ semantics, train: weighted(byClass) });
      expect(firstDifference(mine, theirs)).toBeUndefined();
      const named = classWeights({ weights: { 0: 0.5, 2: 4 } });
      expect(firstDifference(await train({ semantics, plugins: [named] }), mine)).toBeUndefined();
    },
  );

  test('multiplies weights that there are', async () => {
    const given = Float32Array.from({ length: EXAMPLES }, (_, i) => i % 3);
    const both = given.map((weight, i) => weight * byClass[i]!);
    const mine = await train({
      train: weighted(given),
      plugins: [classWeights({ weights: table })],
    });
    expect(firstDifference(mine, await train({ train: weighted(both) }))).toBeUndefined();
  });

  test('is classWeight of fit, bit for bit, under its semantics', async () => {
    const [same, copy] = [softmaxModel(), softmaxModel()];
    copy.setWeights(same.getWeights());
    const oneHot = {
      data: Float32Array.from({ length: 36 }, (_, i) =>
        Number(y.data[Math.floor(i / 3)] === i % 3),
      ),
      shape: [EXAMPLES, 3],
    };
    const [inputs, targets] = [
      tf.tensor2d(x.data, [EXAMPLES, 6]),
      tf.tensor2d(oneHot.data, [EXAMPLES, 3]),
    ];
    copy.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' });
    await copy.fit(inputs, targets, {
      epochs: 2,
      batchSize,
      shuffle: false,
      classWeight: { 0: 0.5, 1: 1, 2: 4 },
    });
    const mine = await withSession(
      open({
        model: same,
        semantics: 'tfjs',
        loss: crossEntropy(),
        optimizer: tfjs.sgd({ learningRate: 0.01 }),
        train: arraySource({ x, y: oneHot, batchSize, shuffle: false }),
        plugins: [classWeights({ weights: table })],
      }),
      (session) => trainedValues(session, 2),
    );
    const theirs = new Map(
      [...mine.keys()].map((path, i) => [path, copy.getWeights()[i]!.dataSync()] as const),
    );
    expect(firstDifference(mine, theirs as typeof mine)).toBeUndefined();
    [inputs, targets].forEach((tensor) => tensor.dispose());
    [same, copy].forEach((each) => each.dispose());
  });

  test('of one unit weighs 0 and 1', async () => {
    const labels = tinyData({ classes: 2 });
    const weights = Float32Array.from(labels.y.data, (id) => (id === 1 ? 3 : 1));
    const targets = { data: Float32Array.from(labels.y.data), shape: [labels.y.data.length, 1] };
    const source = arraySource({ x: labels.x, y: targets, weights, batchSize: 4 });
    const base = { model: oneUnit, loss: binaryCrossEntropy() };
    const plugins = [classWeights({ weights: { 1: 3 } })];
    const mine = await train({ ...base, train: binarySource(0), plugins });
    expect(firstDifference(mine, await train({ ...base, train: source }))).toBeUndefined();
  });

  test('of time steps weighs steps', async () => {
    const steps = { data: Int32Array.of(0, 1, 2, 2, 1, 0), shape: [2, 3] };
    const input = {
      data: Float32Array.from({ length: 12 }, (_, i) => Math.sin(i)),
      shape: [2, 3, 2],
    };
    const model = () =>
      tfl.sequential({
        layers: [tfl.layers.dense({ name: 'logits', units: 3, inputShape: [3, 2] })],
      });
    const perStep = { data: Float32Array.from(steps.data, (id) => table[id]!), shape: [2, 3] };
    const base = { x: input, y: steps, batchSize: 2 };
    const plugins = [classWeights({ weights: table })];
    const mine = await train({ model, train: arraySource(base), plugins });
    const theirs = await train({ model, train: arraySource({ ...base, weights: perStep }) });
    expect(firstDifference(mine, theirs)).toBeUndefined();
  });

  const two = () => {
    const input = tfl.input({ shape: [6] });
    const outputs = ['a', 'b'].map(
      (name) => tfl.layers.dense({ name, units: 2 }).apply(input) as tfl.SymbolicTensor,
    );
    return tfl.model({ inputs: input, outputs });
  };
  const ofTwo = { model: two, loss: { a: crossEntropy(), b: crossEntropy() } };

  test('of several outputs, each by its name; weights are multiplied', async () => {
    const other = { data: Int32Array.from(y.data, (_, i) => i % 2), shape: [EXAMPLES] };
    const first = { data: Int32Array.from(y.data, (id) => Number(id > 0)), shape: [EXAMPLES] };
    const base = { x, y: { a: first, b: other }, batchSize };
    const plugins = [
      classWeights({ output: 'a', weights: [1, 2] }),
      classWeights({ output: 'b', weights: [4, 1] }, { id: 'class-weights-b' }),
    ];
    const weights = Float32Array.from(
      { length: EXAMPLES },
      (_, i) => (1 + first.data[i]!) * (i % 2 ? 1 : 4),
    );
    const mine = await train({ ...ofTwo, train: arraySource(base), plugins });
    const theirs = await train({ ...ofTwo, train: arraySource({ ...base, weights }) });
    expect(firstDifference(mine, theirs)).toBeUndefined();
  });

  test.each<[string, Parameters<typeof classWeights>[0], Partial<SessionConfig>, RegExp]>([
    ['counts', {}, {}, /of each of the 3 classes.*countClasses\(train, \{ classes: 3 \}\)/s],
    ['counts', { counts: [1, 2] }, {}, /of each of the 3 classes/],
    ['classes', { weights: { 3: 1 } }, {}, /the class '3', and the classes are 0 to 2/],
    ['classes', { weights: { cat: 1 } }, {}, /the class 'cat'/],
    ['output', { output: 'logit', weights: [1] }, {}, /Did you mean 'logits'/],
    ['output', { weights: [1] }, ofTwo, /several outputs have a loss/],
    ['no-classes', { weights: [1] }, { loss: binaryCrossEntropy() }, /of 3 units/],
  ])('refuses class-weights/%s: %j', async (code, options, more, says) => {
    const opening = open({ ...more, plugins: [classWeights(options)] });
    await expect(opening).rejects.toThrow(says);
    await expect(opening).rejects.toMatchObject({ code: `class-weights/${code}` });
  });
});

describe('countClasses and balanceClasses', () => {
  test('count ids, shares and numbers, without what weighs 0', async () => {
    const weights = Float32Array.from({ length: EXAMPLES }, (_, i) => Number(i > 0));
    expect(await countClasses(arraySource({ x, y, batchSize: 5 }))).toEqual([4, 4, 4]);
    expect(
      await countClasses(arraySource({ x, y, weights, batchSize: 5 }), { classes: 4 }),
    ).toEqual([3, 4, 4, 0]);
    const shares = { data: Float32Array.of(0.1, 0.9, 0.8, 0.2), shape: [2, 2] };
    const two = { data: new Float32Array(2), shape: [2] };
    expect(
      await countClasses(arraySource({ x: two, y: { a: shares, b: two }, batchSize: 1 }), {
        output: 'a',
      }),
    ).toEqual([1, 1]);
    expect(await countClasses(binarySource(0))).toEqual([12, 12]);
  });

  test('need targets of one output', async () => {
    const none = countClasses(arraySource({ x, batchSize: 5 }));
    await expect(none).rejects.toMatchObject({ code: 'class-weights/targets' });
  });

  test('balance as scikit-learn does', () => {
    // compute_class_weight('balanced', classes=[0, 1], y=[1, 1, 1, 1, 0, 0]) of its documentation
    expect(balanceClasses([2, 4])).toEqual([1.5, 0.75]);
    expect(balanceClasses([2, 0, 4])).toEqual([1.5, 1, 0.75]);
  });
});
