import { createSession, crossEntropy, sgd } from '@espalier/core';
import { multiExit } from '@espalier/plugin-multi-exit';
import type { MultiExitOptions } from '@espalier/plugin-multi-exit';
import { liveTensors, onBackend, tinyCnn, tinyMlp } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { residualNet } from './models.js';
import { open } from './support.js';

beforeAll(() => onBackend('cpu'));

const mlpEndingIn = (last: () => tfl.layers.Layer[]) => () =>
  tfl.sequential({
    layers: [tfl.layers.dense({ name: 'hidden', units: 8, inputShape: [6] }), ...last()],
  });

/** The stem called twice, and a nested block. */
function sharedAndNested(): LayersModel {
  const input = tfl.input({ shape: [4], name: 'input' });
  const shared = tfl.layers.dense({ name: 'shared', units: 4 });
  const nested = tfl.sequential({
    name: 'nested',
    layers: [tfl.layers.dense({ name: 'inner', units: 4, inputShape: [4] })],
  });
  const twice = shared.apply(shared.apply(input)) as SymbolicTensor;
  const body = nested.apply(twice) as SymbolicTensor;
  const logits = tfl.layers.dense({ name: 'logits', units: 3 }).apply(body) as SymbolicTensor;
  return tfl.model({ inputs: input, outputs: logits });
}

class Silent extends tfl.layers.Layer {
  static readonly className = 'BadInputSilent';
  override call(inputs: tf.Tensor | tf.Tensor[]) {
    return tf.clone(Array.isArray(inputs) ? inputs[0]! : inputs);
  }
}
tf.serialization.registerClass(Silent);

test('fractions of a cost that a layer does not tell', async () => {
  const model = mlpEndingIn(() => [
    new Silent({ name: 'silent' }),
    tfl.layers.dense({ name: 'logits', units: 3 }),
  ]);
  await expect(open(model, [multiExit({ at: { fractions: [0.5] } })])).rejects.toThrow(
    /the multiply-accumulates of silent \(BadInputSilent\) are unknown.*macs\(inputShape.*multi-exit\/unknown-macs/s,
  );
});

function image3d(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.conv3d({ name: 'volume', filters: 2, kernelSize: 2, inputShape: [3, 3, 3, 1] }),
      tfl.layers.flatten({ name: 'flat' }),
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

test.each<[string, () => LayersModel, MultiExitOptions, RegExp]>([
  [
    'an unknown layer',
    tinyCnn,
    { at: ['stage1_rely'] },
    /no layer 'stage1_rely'.*Did you mean 'stage1_relu'\?.*model\/unknown-layer/,
  ],
  [
    'a pattern that matches nothing',
    tinyCnn,
    { at: 'block*' },
    /no layer before the head.*'block\*'.*stage1_relu.*multi-exit\/no-exits/,
  ],
  [
    'a broken expression',
    tinyCnn,
    { at: { regexp: '(' } },
    /no regular expression.*multi-exit\/pattern/,
  ],
  [
    'fractions below the first layer',
    tinyCnn,
    { at: { fractions: [0.01] } },
    /at most these fractions.*stage1_relu \(0\.\d+\).*multi-exit\/no-exits/,
  ],
  [
    'fractions below the first layer of a perceptron',
    tinyMlp,
    { at: { fractions: [0.5] } },
    /at most these fractions.*Raise the fractions.*: hidden \(0\.667\)\..*multi-exit\/no-exits/,
  ],
  [
    'a branch of convolutions on a perceptron',
    tinyMlp,
    { branch: 'bottleneck' },
    /gives feature maps.*Use branch: 'linear'.*: hidden \(0\.667\)\..*multi-exit\/no-exits/,
  ],
  [
    'two exits on a layer',
    tinyCnn,
    { at: ['stage1', 'stage1'] },
    /two exits are on the same layer 'stage1'.*multi-exit\/duplicate/,
  ],
  [
    'an exit on the head',
    tinyCnn,
    { at: ['logits'] },
    /'logits' is no layer between the inputs and the head.*multi-exit\/not-before-head/,
  ],
  [
    'an exit after the head',
    mlpEndingIn(() => [
      tfl.layers.dense({ name: 'logits', units: 3 }),
      tfl.layers.dropout({ name: 'late', rate: 0.1 }),
      tfl.layers.activation({ name: 'end', activation: 'linear' }),
    ]),
    { at: ['late'] },
    /'late' is no layer between.*'end'.*multi-exit\/not-before-head/,
  ],
  ['an exit on the input', residualNet, { at: ['image'] }, /'image' is no layer between/],
  ['a shared layer', sharedAndNested, { at: ['shared'] }, /'shared' is shared.*edit\/shared/],
  [
    'a layer of a nested model',
    sharedAndNested,
    { at: ['nested/inner'] },
    /cannot edit inside nested model.*edit\/nested/,
  ],
  [
    'an output of another shape',
    mlpEndingIn(() => [
      tfl.layers.dense({ name: 'wide', units: 6 }),
      tfl.layers.reshape({ name: 'grid', targetShape: [2, 3] }),
    ]),
    {},
    /\[batch, classes\].*multi-exit\/not-logits/,
  ],
  [
    'a single logit',
    mlpEndingIn(() => [tfl.layers.dense({ name: 'one', units: 1 })]),
    {},
    /one unit.*binaryCrossEntropy/,
  ],
  ['an unknown output', tinyMlp, { output: 'logit' }, /no output 'logit'.*Did you mean 'logits'/],
  [
    'a bottleneck on vectors',
    tinyMlp,
    { at: ['hidden'], branch: 'bottleneck' },
    /bottleneck branch convolves feature maps.*'hidden' gives none.*linear.*multi-exit\/feature-shape/,
  ],
  [
    'feature volumes',
    image3d,
    { at: ['volume'] },
    /no exit can be put behind 'volume'.*multi-exit\/feature-shape/,
  ],
  [
    'weights of another length',
    residualNet,
    { at: 'block_*_out', weights: [1, 1, 1] },
    /2 auxiliary exits \(at block_1_out, block_2_out\), but 3 weights.*multi-exit\/weights/,
  ],
])('%s', async (_, model, options, message) => {
  await expect(open(model, [multiExit(options)])).rejects.toThrow(message);
});

test.each<[string, unknown, RegExp]>([
  ['a fraction of 1', { at: { fractions: [1] } }, /must lie between 0 and 1/],
  ['a fraction of 0', { at: { fractions: [0.5, 0] } }, /must lie between 0 and 1/],
  ['no layer', { at: [] }, /option 'at'/],
  ['a negative weight', { weights: -1 }, /option 'weights'/],
  [
    'a schedule without an end',
    { weights: { kind: 'linear', from: 1, to: 0 } },
    /option 'weights'/,
  ],
  ['an unknown branch', { branch: 'dense' }, /option 'branch'.*linear.*bottleneck.*separable/],
  ['an unknown option', { layers: ['a'] }, /unknown option 'layers'/],
])('option: %s', (_, options, message) => {
  expect(() => multiExit(options as MultiExitOptions)).toThrow(message);
});

test('a refused setup leaves the user’s model as it was, and no tensor behind', async () => {
  const model = residualNet();
  const [names, before] = [model.layers.map(({ name }) => name), liveTensors()];
  const run = { model, loss: crossEntropy(), optimizer: sgd({ learningRate: 0.1 }) };
  const edited = multiExit({ at: ['stem'] });
  const refused = multiExit({ at: ['nowhere'] }, { id: 'refused' });
  const plugins = [edited, { ...refused, effects: {} }];
  await expect(createSession({ ...run, plugins })).rejects.toThrow(/refused.*nowhere/);
  expect(model.layers.map(({ name }) => name)).toEqual(names);
  expect(liveTensors()).toBe(before);
});
