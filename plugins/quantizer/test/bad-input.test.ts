import { definePlugin, extractGraph } from '@espalier/core';
import type { ModelEdit } from '@espalier/core';
import { quantize, quantizeResiduals, quantizer } from '@espalier/plugin-quantizer';
import type { QuantizerOptions } from '@espalier/plugin-quantizer';
import { liveTensors, onBackend, tinyMlp, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { imageModel, wordModel } from './models.js';
import { open } from './support.js';

beforeAll(() => onBackend('cpu'));

test.each<[string, unknown, RegExp]>([
  ['bits that there are not', { bits: 5 }, /option 'bits'.*received 5/],
  ['bits of a matrix', { matrices: { basis: { bits: 1 } } }, /option 'matrices.basis/],
  ['a group of none', { granularity: { group: 0 } }, /option 'granularity/],
  ['a percentile above 100', { range: { percentile: 101 } }, /option 'range/],
  ['an unknown option', { bit: 8 }, /unknown option 'bit'. Did you mean 'bits'\?/],
  ['no layer', { layers: [] }, /option 'layers'/],
  [
    'aware with a codebook',
    { qat: 'lsq', codebook: 'nf4' },
    /option 'codebook'.*uniform symmetric/,
  ],
  [
    'aware with offsets for a matrix',
    { qat: 'lsq', matrices: { kernel: { scheme: 'asymmetric' } } },
    /option 'matrices.kernel.scheme'.*uniform symmetric/,
  ],
])('option: %s', (_, options, message) => {
  expect(() => quantizer(options as QuantizerOptions)).toThrow(message);
});

const nested = () => {
  const inside = tfl.input({ shape: [6] });
  const deep = tfl.layers.dense({ name: 'deep', units: 4 }).apply(inside) as tfl.SymbolicTensor;
  const inner = tfl.model({ name: 'inner', inputs: inside, outputs: deep });
  const input = tfl.input({ shape: [6] });
  const logits = tfl.layers.dense({ name: 'logits', units: 5 });
  const outputs = logits.apply(inner.apply(input)) as tfl.SymbolicTensor;
  return tfl.model({ inputs: input, outputs });
};

test.each<[string, () => tfl.LayersModel, QuantizerOptions, RegExp]>([
  [
    'an unknown layer',
    wordModel,
    { layers: ['word'] },
    /no layer 'word'.*Did you mean 'words'\?.*quantizer\/unknown-layer/,
  ],
  [
    'a pattern without a match',
    wordModel,
    { layers: ['x*'] },
    /no layer 'x\*'.*hidden, logits, words/,
  ],
  [
    'a layer without a matrix',
    wordModel,
    { layers: ['flat'] },
    /'flat' is a Flatten.*no matrix.*hidden, logits, words.*quantizer\/no-matrix/,
  ],
  [
    'a layer of a nested model',
    nested,
    { layers: ['inner/deep'] },
    /'inner\/deep' is inside the nested model 'inner'.*quantizer\/unknown-layer/,
  ],
  [
    'layers too small',
    wordModel,
    { minSize: 5000 },
    /nothing to quantize.*5000 numbers.*minSize.*quantizer\/nothing/,
  ],
  ['every matrix excepted', wordModel, { matrices: { '*': false } }, /nothing.*excepted/],
])('%s', (_, model, options, message) =>
  withSession(open(model, options), async (session) => {
    const before = liveTensors();
    await expect(session.transform()).rejects.toThrow(message);
    expect(liveTensors()).toBe(before);
  }),
);

test('quantizing twice says which layers are quantized', () =>
  withSession(open(wordModel, {}), async (session) => {
    await session.transform();
    await expect(session.transform()).rejects.toThrow(
      /nothing.*Already quantized: words, hidden, logits/,
    );
  }));

test('a layer named that is quantized', () =>
  withSession(open(wordModel, { layers: ['hidden'] }), async (session) => {
    await session.transform();
    await expect(session.transform()).rejects.toThrow(
      /'hidden' is quantized already.*quantizer\/already/,
    );
  }));

/** Sets one number of the kernel of 'logits'. */
function spoiler(value: number) {
  const edit: ModelEdit = (graph) => {
    const [path, at] = ['logits/kernel', 7];
    const numbers = graph.weights[path]!.dataSync().slice();
    numbers[at] = value;
    const spoilt = tf.tensor(numbers, graph.weights[path]!.shape);
    return { ...graph, weights: { ...graph.weights, [path]: spoilt } };
  };
  return definePlugin({
    id: 'block-low-rank',
    version: '0.0.0',
    options: z.strictObject({}),
    effects: { structure: 'modify' },
    stateless: true,
    apply: (ctx) => ctx.hooks.transform.tap(() => ctx.edit(edit)),
  })();
}

test.each([NaN, Infinity])('%s names layer, matrix and place, and changes nothing', (value) => {
  const plugins = [quantizer({ minSize: 1 }), spoiler(value)];
  return withSession(open(tinyMlp, {}, { plugins, train: undefined }), async (session) => {
    await expect(session.transform()).rejects.toThrow(
      /\[plugin quantizer\] transform.*layer 'logits', matrix 'kernel'.*row 2, column 1 is not finite.*Received: (NaN|Infinity).*quantizer\/not-finite/,
    );
    expect(extractGraph(session.model).weights['logits/kernel']!.shape).toEqual([8, 3]);
  });
});

test('a group longer than the row, or that does not divide it, is shortened', () => {
  const data = Float32Array.from({ length: 10 }, (_, i) => i);
  for (const [group, scales] of [
    [3, 4],
    [50, 2],
  ] as const) {
    const { weights } = quantize({ data, rows: 2, columns: 5 }, { granularity: { group } });
    expect(weights.scale).toHaveLength(scales);
  }
});

test('a matrix without numbers', () => {
  expect(() => quantize({ data: new Float32Array(0), rows: 0, columns: 4 })).toThrow(
    /quantizer\/empty/,
  );
});

test('a matrix whose codes would be no smaller stays float', () =>
  withSession(open(imageModel, { bits: 8, granularity: { group: 1 } }), async (session) => {
    await expect(session.transform()).rejects.toThrow(/would not get smaller/);
  }));

const LARGEST = 3.4028234663852886e38;

test('codes beyond float32 are refused, whatever they are codes of', async () => {
  const data = Float32Array.of(-LARGEST, LARGEST, 0, 1);
  const matrix = { data, rows: 1, columns: 4 };
  const tooLarge = expect.objectContaining({ code: 'quantizer/too-large' });
  expect(() => quantize(matrix, { scheme: 'asymmetric' })).toThrow(tooLarge);
  expect(() => quantize(matrix, { range: 'min-max' })).toThrow(tooLarge);
  expect(quantize(matrix, { codebook: 'k-means' }).error).toBeLessThan(1e-6);
  const rows = { data: Float32Array.from({ length: 80 }, (_, i) => LARGEST * Math.sin(i * i)) };
  await expect(
    quantizeResiduals({ ...rows, rows: 20, columns: 4 }, { stages: 2, bits: 3 }),
  ).rejects.toThrow(tooLarge);
});
