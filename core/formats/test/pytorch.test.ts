import { EspalierError } from '@espalier/base';
import { pytorchLayers, pytorchModules, pytorchWeights } from '@espalier/formats';
import type { PyTorchModule, StateDict } from '@espalier/formats';
import { buildModel, disposeModel, extractGraph } from '@espalier/model';
import { backendsUnderTest, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { goldenRun, goldenState, largestGap } from './golden.js';

const TOLERANCE = 1e-5;

/** The modules of a golden file in the order in which its network applies them. */
const ORDERS: Readonly<Record<string, readonly string[]>> = {
  lstm: [''],
  gru: [''],
  'gru-without-bias': [''],
  linear: [''],
  'linear-without-bias': [''],
  embedding: [''],
  'lstm-model': ['embedding', 'rnn', 'decoder'],
  'lstm-model-without-bias': ['embedding', 'rnn', 'decoder'],
  'gru-model': ['embedding', 'rnn', 'decoder'],
  'lstm-model-f16': ['embedding', 'rnn', 'decoder'],
  'gru-model-bf16': ['embedding', 'rnn', 'decoder'],
};
const KINDS = { embedding: { kinds: { '': 'embedding' } } } as const;

const layersOf = (name: string) =>
  pytorchLayers(goldenState(name), ORDERS[name]!, KINDS[name as keyof typeof KINDS]);

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(Object.keys(ORDERS))('%s computes what PyTorch computes', (name) => {
    const before = tf.memory().numTensors;
    const { input, output } = goldenRun(name);
    const inputs = tfl.input({ shape: input.shape.slice(1) });
    const layers = layersOf(name);
    const outputs = layers.reduce((x, layer) => layer.apply(x) as SymbolicTensor, inputs);
    const model = tfl.model({ inputs, outputs });
    const result = model.predict(input) as Tensor;
    expect(largestGap(result, output)).toBeLessThan(TOLERANCE);
    disposeModel(model);
    tf.dispose([input, result]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(['lstm-model', 'gru-model'])('%s as a Sequential', (name) => {
    const { input, output } = goldenRun(name);
    const model = tfl.sequential({ layers: layersOf(name) });
    const logits = model.predict(input) as Tensor;
    expect(largestGap(logits, output)).toBeLessThan(TOLERANCE);
    const names = ['embedding', 'rnn_l0', 'rnn_l1', 'decoder'];
    expect(model.layers.map((layer) => layer.name)).toEqual(names);
    disposeModel(model);
    tf.dispose([input, logits]);
  });

  test.each(['lstm-model', 'gru-model'])('%s is the same when rebuilt from its graph', (name) => {
    const { input, output } = goldenRun(name);
    const model = tfl.sequential({ layers: layersOf(name) });
    const rebuilt = buildModel(extractGraph(model));
    const logits = rebuilt.predict(input) as Tensor;
    expect(largestGap(logits, output)).toBeLessThan(TOLERANCE);
    [model, rebuilt].forEach(disposeModel);
    tf.dispose([input, logits]);
  });

  test('a recurrent module alone is a model; its last step is the end of its sequence', () => {
    const { input, output } = goldenRun('gru');
    const model = tfl.sequential({
      layers: pytorchLayers(goldenState('gru'), [''], { returnSequences: false }),
    });
    const last = model.predict(input) as Tensor;
    expect(last.shape).toEqual([2, 4]);
    const expected = [0, 1].flatMap((row) => [...output.slice(row * 24 + 20, row * 24 + 24)]);
    expect(largestGap(last, Float32Array.from(expected))).toBeLessThan(TOLERANCE);
    disposeModel(model);
    tf.dispose([input, last]);
  });
});

const matrix = (...shape: number[]) =>
  ({ dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }) as const;
const dict = (entries: Readonly<Record<string, readonly number[]>>): StateDict =>
  new Map(Object.entries(entries).map(([name, shape]) => [name, matrix(...shape)]));
const gru = { 'rnn.weight_ih_l0': [12, 3], 'rnn.weight_hh_l0': [12, 4] };

describe('modules', () => {
  test.each<[string, PyTorchModule[]]>([
    ['lstm', [{ kind: 'lstm', name: '', layers: 2, inputSize: 3, hiddenSize: 4, bias: true }]],
    [
      'gru-without-bias',
      [{ kind: 'gru', name: '', layers: 1, inputSize: 3, hiddenSize: 4, bias: false }],
    ],
    [
      'lstm-model-without-bias',
      [
        { kind: 'linear', name: 'decoder', inputs: 4, outputs: 11, bias: false },
        { kind: 'embedding', name: 'embedding', rows: 11, columns: 3 },
        { kind: 'lstm', name: 'rnn', layers: 2, inputSize: 3, hiddenSize: 4, bias: false },
      ],
    ],
  ])('of %s', (name, expected) => {
    const { modules, rest } = pytorchModules(goldenState(name));
    const byName = [...modules].sort((a, b) => (a.name < b.name ? -1 : 1));
    expect([byName, rest]).toEqual([expected, []]);
  });

  test.each<[string, number[], string]>([
    ['model.embed_tokens', [8, 8], 'embedding'],
    ['transformer.wte', [8, 8], 'embedding'],
    ['lm_head', [1000, 8], 'linear'],
    ['embed_out', [1000, 8], 'linear'],
    ['h.0.q_proj', [8, 8], 'linear'],
    ['0', [65, 8], 'embedding'],
    ['0', [64, 8], 'linear'],
    ['embedding.0', [8, 8], 'linear'],
  ])('one matrix named %s of %j is taken for %s', (name, shape, kind) => {
    const { modules } = pytorchModules(dict({ [`${name}.weight`]: shape }));
    expect(modules).toMatchObject([{ name, kind }]);
  });

  test('kinds decides', () => {
    const state = dict({ 'wte.weight': [8, 4], 'head.weight': [8, 4] });
    const kinds = { wte: 'linear', head: 'embedding' } as const;
    expect(pytorchModules(state, { kinds }).modules).toEqual([
      { kind: 'linear', name: 'wte', inputs: 4, outputs: 8, bias: false },
      { kind: 'embedding', name: 'head', rows: 8, columns: 4 },
    ]);
  });

  test('what belongs to none is named', () => {
    const state = dict({
      'norm.weight': [4],
      'norm.bias': [4],
      'conv.weight': [4, 4, 3, 3],
      'fc.weight': [2, 4],
      'odd.weight': [2, 4],
      'odd.bias': [3],
      'none.weight': [0, 4],
      scale: [],
    });
    const { modules, rest } = pytorchModules(state);
    expect(modules.map(({ name }) => name)).toEqual(['fc']);
    expect(rest).toEqual(
      ['norm.weight', 'norm.bias', 'conv.weight', 'odd.weight', 'odd.bias', 'none.weight', 'scale'], // prettier-ignore
    );
    expect(pytorchModules(goldenState('elman'))).toMatchObject({
      modules: [],
      rest: expect.arrayContaining(['weight_ih_l0', 'weight_hh_l0']),
    });
  });
});

test('layers of modules whose names TensorFlow.js does not take', async () => {
  await onBackend('cpu');
  const state = dict({ 'my words é.weight': [80, 4], '_head.weight': [80, 4] });
  const layers = pytorchLayers(state, ['my words é', '_head']);
  expect(layers.map(({ name }) => name)).toEqual(['my_words__', 'linear_head']);
  expect(() => tfl.sequential({ layers })).not.toThrow();
  layers.forEach((layer) => layer.dispose());
});

describe('refuses', () => {
  test.each<[string, () => unknown, string, RegExp]>([
    [
      'two directions',
      () => pytorchModules(goldenState('lstm-bidirectional')),
      'pytorch/module',
      /bidirectional/,
    ],
    [
      'a projection',
      () => pytorchModules(goldenState('lstm-projected')),
      'pytorch/module',
      /projected/,
    ],
    [
      'a missing layer',
      () => pytorchModules(dict({ ...gru, 'rnn.weight_ih_l2': [12, 4] })),
      'pytorch/module',
      /'rnn.weight_ih_l1' must have shape \[12, 4\].*no such tensor/,
    ],
    [
      'a bias of another length',
      () => pytorchModules(dict({ ...gru, 'rnn.bias_ih_l0': [12], 'rnn.bias_hh_l0': [11] })),
      'pytorch/module',
      /'rnn.bias_hh_l0' must have shape \[12\].*\[11\]/,
    ],
    [
      'a stray tensor',
      () => pytorchModules(dict({ ...gru, 'rnn.weight_hh_l1': [12, 4] })),
      'pytorch/module',
      /weight_hh_l1/,
    ],
    [
      'names that become one',
      () => pytorchModules(dict({ 'a b.weight': [4, 3], 'a_b.weight': [4, 3] })),
      'pytorch/alike',
      /'a b' and 'a_b' would both be the layer 'a_b'/,
    ],
    [
      'the name of a layer of a recurrent module',
      () =>
        pytorchModules(
          dict({
            ...gru,
            'rnn.weight_ih_l1': [12, 4],
            'rnn.weight_hh_l1': [12, 4],
            'rnn_l1.weight': [4, 3],
          }),
        ),
      'pytorch/alike',
      /'rnn_l1'/,
    ],
    [
      'a kind for no module',
      () => pytorchModules(dict(gru), { kinds: { rn: 'gru' } }),
      'pytorch/kind',
      /Did you mean 'rnn'/,
    ],
    [
      'a kind that the tensors are not',
      () => pytorchModules(dict(gru), { kinds: { rnn: 'lstm' } }),
      'pytorch/kind',
      /those of gru.*lstm/,
    ],
    [
      'an embedding with a bias',
      () => pytorchModules(goldenState('linear'), { kinds: { '': 'embedding' } }),
      'pytorch/kind',
      /those of linear/,
    ],
    [
      'an unknown module in the order',
      () => pytorchLayers(goldenState('lstm-model'), ['embeding', 'rnn']),
      'pytorch/order',
      /Did you mean 'embedding'/,
    ],
    [
      'an order that does not fit',
      () => pytorchLayers(goldenState('lstm-model'), ['rnn', 'embedding']),
      'pytorch/order',
      /'embedding' takes ids.*follows 'rnn'/,
    ],
    [
      'weights of another state dict',
      () => pytorchWeights(new Map(), { kind: 'embedding', name: 'e', rows: 1, columns: 1 }),
      'pytorch/tensor',
      /'e.weight'/,
    ],
  ])('%s', (_what, act, code, message) => {
    let thrown: unknown;
    try {
      act();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(EspalierError);
    expect(thrown).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
