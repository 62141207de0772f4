import {
  compressionReport,
  countHostBytes,
  createStorage,
  floorCounts,
  isWordMatrix,
  listMatrices,
  readRows,
  readStorages,
  registerStorage,
} from '@espalier/compression';
import { extractGraph } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, test } from 'vitest';

beforeAll(() => onBackend('cpu'));

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('createStorage', () => {
  it('keeps plain numbers where no kind is given, and decodes the rows asked for', () => {
    const storage = createStorage('u0', [3, 2]);
    expect(storage.weights).toEqual([
      { name: 'u0', shape: [3, 2], dtype: 'float32', trainable: true },
    ]);
    tf.tidy(() => {
      const matrix = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
      const read = (name: string) => (name === 'u0' ? matrix : tf.scalar(0));
      expect(storage.gather(read, tf.tensor1d([2, 0], 'int32')).arraySync()).toEqual([
        [5, 6],
        [1, 2],
      ]);
      expect(storage.slice(read, 1, 2).arraySync()).toEqual([
        [3, 4],
        [5, 6],
      ]);
    });
  });

  it('uses the factory that was registered last for a kind, and refuses unknown kinds', () => {
    const plain = createStorage('m', [1, 1]);
    const config = { kind: 'test-halves', scale: 2 };
    registerStorage(config.kind, () => ({ ...plain, config: { kind: 'first' } }));
    registerStorage(config.kind, (name, shape, given) => ({ ...plain, config: given }));
    expect(createStorage('m', [1, 1], config).config).toEqual(config);
    const unknown = () => createStorage('m', [1, 1], { kind: 'test-halve' });
    expect(unknown).toThrow(code('storage/unknown'));
    expect(unknown).toThrow(/'m'.*Did you mean 'test-halves'/);
  });
});

test('matrices of a model are listed with their shapes and the class that can store them', () => {
  const model = tfl.sequential({
    layers: [
      tfl.layers.embedding({ inputDim: 8, outputDim: 3, inputLength: 4, name: 'words' }),
      tfl.layers.reshape({ targetShape: [4, 3, 1], name: 'image' }),
      tfl.layers.conv2d({ filters: 2, kernelSize: 2, name: 'conv' }),
      tfl.layers.flatten({ name: 'flat' }),
      tfl.layers.dense({ units: 5, name: 'logits' }),
    ],
  });
  const graph = extractGraph(model);
  const { layers } = graph.topology.config;
  const found = layers.flatMap((entry) =>
    listMatrices(graph, entry).map(({ layer, matrix, shape, className }) => [
      layer,
      matrix,
      shape,
      className,
    ]),
  );
  expect(found).toEqual([
    ['words', 'embeddings', [8, 3], 'StoredEmbedding'],
    ['conv', 'kernel', [4, 2], 'StoredConv2D'],
    ['logits', 'kernel', [12, 5], 'StoredDense'],
  ]);
  expect(layers.map(readStorages)).toEqual(layers.map(() => undefined));
  model.dispose();
});

test.each<[string, [number, number], boolean]>([
  ['Embedding', [10, 20], true],
  ['Dense', [8, 16], true],
  ['Dense', [8, 15], false],
  ['Conv2D', [8, 64], false],
])('a matrix of %s of shape %j is one of words: %s', (className, shape, expected) => {
  expect(isWordMatrix({ className }, shape)).toBe(expected);
});

test('readRows reads the units of a dense layer as rows, and nothing of other layers', async () => {
  const dense = tfl.layers.dense({ units: 2, useBias: false });
  dense.build([null, 2]);
  dense.setWeights([tf.tensor2d([1, 2, 3, 4], [2, 2])]);
  expect(await readRows(dense, 2)).toEqual({
    data: Float32Array.of(1, 3, 2, 4),
    rows: 2,
    columns: 2,
  });
  expect(await readRows(tfl.layers.flatten(), 2)).toBeUndefined();
  dense.weights.forEach((weight) => weight.dispose());
});

test.each([
  [
    [0, 3, 5],
    [1, 3, 5],
  ],
  [
    [0, 0.25, 5],
    [0.25, 0.25, 5],
  ],
  [
    [0, 0],
    [1, 1],
  ],
])('floorCounts of %j', (counts, expected) => {
  expect([...floorCounts(Float64Array.from(counts))]).toEqual(expected);
});

test('countHostBytes sums all weights of a matrix', () => {
  const codes = { data: new Int32Array(3), shape: [3] };
  expect(countHostBytes({ codes, scale: { data: new Float32Array(2), shape: [2] } })).toBe(20);
});

test('compressionReport keeps the order of edits and leaves out those of other plugins', () => {
  const entry = {
    layer: 'logits',
    summary: '8 bits',
    bytesBefore: 40,
    bytesAfter: 10,
    relativeError: 0.1,
  };
  const edit = { phase: 'transform', outputs: ['logits'] } as const;
  const edits = [
    { ...edit, plugin: 'exits', detail: { exits: 2 } },
    {
      ...edit,
      plugin: 'quantizer',
      detail: { compression: [entry, { ...entry, layer: 'words' }] },
    },
    { ...edit, plugin: 'silent' },
  ];
  const lines = compressionReport(edits as unknown as Parameters<typeof compressionReport>[0]);
  expect(lines).toEqual([
    { plugin: 'quantizer', ...entry },
    { plugin: 'quantizer', ...entry, layer: 'words' },
  ]);
});
