import { Network } from '@espalier/core';
import type { Head } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { apply, lstm } from './models.js';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;

class Own extends layers.Layer {
  static className = 'OwnHead';
  override call(x: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.softmax([x].flat()[0]!);
  }
}

type Activation = NonNullable<Parameters<typeof layers.dense>[0]['activation']>;
type Build = (x: SymbolicTensor) => SymbolicTensor | SymbolicTensor[];

/** The head of the first output of a model that `build` makes over an input of a shape. */
function headOf(shape: (number | null)[], build: Build): Head {
  const x = tfl.input({ shape });
  const network = new Network(tfl.model({ inputs: x, outputs: build(x) }));
  return network.heads[network.outputNames[0]!]!;
}

const through =
  (...chain: tfl.layers.Layer[]): Build =>
  (x) =>
    chain.reduce((symbol, layer) => apply(layer, symbol), x);
const nested = (activation: Activation) =>
  tfl.sequential({
    layers: [layers.dense({ units: 4, inputShape: [3] }), layers.dense({ units: 3, activation })],
  });

const VECTOR = [3];
const SEQUENCE = [4, 3];
const MAPS = [4, 4, 2];
const kernel = { filters: 3, kernelSize: 1 };
type Ending = (activation: Activation) => tfl.layers.Layer;

/** Every layer of tfjs that ends in its activation, by class. */
const ENDING: Record<string, readonly [number[], Ending]> = {
  Dense: [VECTOR, (activation) => layers.dense({ units: 3, activation })],
  Activation: [VECTOR, (activation) => layers.activation({ activation })],
  Conv1D: [SEQUENCE, (activation) => layers.conv1d({ ...kernel, activation })],
  Conv2D: [MAPS, (activation) => layers.conv2d({ ...kernel, activation })],
  Conv2DTranspose: [MAPS, (activation) => layers.conv2dTranspose({ ...kernel, activation })],
  Conv3D: [[2, 2, 2, 1], (activation) => layers.conv3d({ ...kernel, activation })],
  DepthwiseConv2D: [MAPS, (activation) => layers.depthwiseConv2d({ kernelSize: 1, activation })],
  SeparableConv2D: [MAPS, (activation) => layers.separableConv2d({ ...kernel, activation })],
  TimeDistributed: [
    SEQUENCE,
    (activation) => layers.timeDistributed({ layer: layers.dense({ units: 3, activation }) }),
  ],
  'a nested model': [VECTOR, nested],
  'TimeDistributed of a model': [
    SEQUENCE,
    (activation) => layers.timeDistributed({ layer: nested(activation) }),
  ],
};

describe.each(Object.entries(ENDING))('%s', (_name, [shape, make]) => {
  test.each(['softmax', 'sigmoid'] as const)('with %s gives its logits', (activation) => {
    const head = headOf(shape, through(make(activation)));
    expect(head).toMatchObject({ gives: 'probabilities', activation, hasLogits: true });
  });

  test.each(['linear', 'relu', 'tanh', 'softplus', 'logSoftmax' as never] as Activation[])(
    'with %s gives values',
    (activation) => {
      const { gives, hasLogits } = headOf(shape, through(make(activation)));
      expect({ gives, hasLogits }).toEqual({
        gives: _name === 'Activation' && activation === 'linear' ? 'unknown' : 'values',
        hasLogits: false,
      });
    },
  );

  test('runs as if it ended before, and only in that run', () => {
    const [x, twin] = [tfl.input({ shape }), tfl.input({ shape })];
    const squashed = tfl.model({ inputs: x, outputs: apply(make('softmax'), x) });
    const plain = tfl.model({ inputs: twin, outputs: apply(make('linear'), twin) });
    plain.setWeights(squashed.getWeights());
    const network = new Network(squashed);
    const [output] = network.outputNames;
    const given = {
      [network.inputNames[0]!]: tf.randomUniform([2, ...shape], -1, 1, 'float32', 7),
    };
    const run = (logits: string[]) =>
      network.execute(given, { training: false, logits }).outputs[output!]!.dataSync();
    const before = run([]);
    expect(run([output!])).toEqual(
      (plain.predict(Object.values(given)[0]!) as tf.Tensor).dataSync(),
    );
    expect(() => network.withLogits([output!], () => JSON.parse('{'))).toThrow(SyntaxError);
    expect(run([])).toEqual(before);
  });
});

/** What stands behind a softmax or a sigmoid, and what is left of it. */
const BEHIND: [string, number[], Activation, tfl.layers.Layer[], Partial<Head>][] = [
  [
    'reshape',
    SEQUENCE,
    'softmax',
    [layers.reshape({ targetShape: [2, 2, 3] })],
    { hasLogits: true },
  ],
  [
    'permute of other axes',
    MAPS,
    'softmax',
    [layers.permute({ dims: [2, 1, 3] })],
    { hasLogits: true },
  ],
  [
    'linear activation',
    VECTOR,
    'softmax',
    [layers.activation({ activation: 'linear' })],
    { hasLogits: true },
  ],
  ['repeatVector', VECTOR, 'softmax', [layers.repeatVector({ n: 2 })], { hasLogits: true }],
  [
    'cropping2D',
    MAPS,
    'softmax',
    [layers.cropping2D({ cropping: [1, 1] } as never)],
    { hasLogits: true },
  ],
  ['flatten of a sigmoid', SEQUENCE, 'sigmoid', [layers.flatten()], { hasLogits: true }],
  ['flatten of a softmax', SEQUENCE, 'softmax', [layers.flatten()], { hasLogits: false }],
  [
    'permute of classes',
    SEQUENCE,
    'softmax',
    [layers.permute({ dims: [2, 1] })],
    { hasLogits: false },
  ],
  ['dropout', VECTOR, 'softmax', [layers.dropout({ rate: 0.5 })], { hasLogits: false }],
  ['gaussianNoise', VECTOR, 'sigmoid', [layers.gaussianNoise({ stddev: 1 })], { hasLogits: false }],
  [
    'globalAveragePooling1d',
    SEQUENCE,
    'softmax',
    [layers.globalAveragePooling1d({})],
    { hasLogits: false },
  ],
  ['maxPooling2d', MAPS, 'sigmoid', [layers.maxPooling2d({ poolSize: 2 })], { hasLogits: false }],
  ['upSampling2d', MAPS, 'sigmoid', [layers.upSampling2d({})], { hasLogits: false }],
];

test.each(BEHIND)('probabilities behind a %s', (_name, shape, activation, behind, expected) => {
  const head = headOf(shape, through(layers.dense({ units: 3, activation }), ...behind));
  expect(head).toMatchObject({ gives: 'probabilities', ...expected });
});

const OTHERS: [string, number[], Build, Head['gives']][] = [
  ['softmax layer', VECTOR, through(layers.softmax()), 'probabilities'],
  [
    'softmax over two axes',
    SEQUENCE,
    through(layers.softmax({ axis: [1, 2] } as never)),
    'probabilities',
  ],
  ['softmax over time', SEQUENCE, through(layers.softmax({ axis: 1 })), 'probabilities'],
  [
    'hardSigmoid',
    VECTOR,
    through(layers.dense({ units: 1, activation: 'hardSigmoid' })),
    'probabilities',
  ],
  [
    'simpleRNN, softmax',
    SEQUENCE,
    through(layers.simpleRNN({ units: 3, activation: 'softmax' })),
    'probabilities',
  ],
  [
    'gru, sigmoid',
    SEQUENCE,
    through(layers.gru({ units: 3, activation: 'sigmoid', recurrentInitializer: 'zeros' })),
    'probabilities',
  ],
  ['lstm', SEQUENCE, through(lstm({ units: 3 })), 'values'],
  [
    'bidirectional',
    SEQUENCE,
    through(
      layers.bidirectional({
        layer: layers.simpleRNN({
          units: 3,
          activation: 'sigmoid',
          recurrentInitializer: 'zeros',
        }) as never,
        mergeMode: 'ave',
      }),
    ),
    'probabilities',
  ],
  ['batchNormalization', VECTOR, through(layers.batchNormalization()), 'values'],
  ['leakyReLU', VECTOR, through(layers.leakyReLU()), 'values'],
  ['a layer of one’s own', VECTOR, through(new Own({})), 'unknown'],
  ['an input', SEQUENCE, (x) => apply(layers.flatten(), x), 'unknown'],
];

test.each(OTHERS)('%s', (name, shape, build, gives) => {
  const head = headOf(shape, build);
  expect(head.gives).toBe(gives);
  expect(head.hasLogits).toBe(name === 'softmax layer');
});

describe('heads in graphs', () => {
  const dense = (activation: Activation, units = 3) => layers.dense({ units, activation });

  test.each([
    ['average', layers.average(), 'softmax', false],
    ['multiply', layers.multiply(), 'sigmoid', false],
    ['concatenate of sigmoids', layers.concatenate(), 'sigmoid', true],
    ['concatenate of distributions by classes', layers.concatenate(), 'softmax', false],
  ] as const)('%s of two', (_name, merge, activation, hasLogits) => {
    const two: Build = (x) =>
      apply(merge, apply(dense(activation), x), apply(dense(activation), x));
    expect(headOf(VECTOR, two)).toMatchObject({ gives: 'probabilities', hasLogits });
  });

  test('boxes of distributions joined before the classes', () => {
    const joined: Build = (x) =>
      apply(
        layers.concatenate({ axis: 1 }),
        apply(dense('softmax'), x),
        apply(dense('softmax'), x),
      );
    expect(headOf(SEQUENCE, joined)).toMatchObject({ activation: 'softmax', hasLogits: true });
  });

  test('values joined with probabilities are values', () => {
    const mixed: Build = (x) =>
      apply(layers.concatenate(), apply(dense('softmax'), x), apply(dense('linear'), x));
    expect(headOf(VECTOR, mixed).gives).toBe('values');
  });

  test('logits cannot be computed where another layer uses the probabilities', () => {
    const cascade: Build = (x) => {
      const first = apply(dense('softmax'), x);
      return [first, apply(dense('softmax'), first)];
    };
    expect(headOf(VECTOR, cascade)).toMatchObject({ activation: 'softmax', hasLogits: false });
  });

  test('nor where another call of the layer is no head', () => {
    const shared = dense('softmax');
    const twice: Build = (x) => apply(shared, apply(shared, x));
    expect(headOf(VECTOR, twice).hasLogits).toBe(false);
    const heads: Build = (x) => [apply(shared, x), apply(shared, apply(dense('tanh'), x))];
    expect(headOf(VECTOR, heads).hasLogits).toBe(true);
  });

  test('a network asked for logits that it has not says which layer', () => {
    const x = tfl.input({ shape: VECTOR });
    const own = new Own({ name: 'mine' });
    const network = new Network(tfl.model({ inputs: x, outputs: apply(own, x) }));
    expect(() => network.withLogits(['mine'], () => 0)).toThrow(/'mine'.*class of its own/);
  });
});
