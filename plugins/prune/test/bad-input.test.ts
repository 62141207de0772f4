import { createStorage } from '@espalier/compression';
import { definePlugin, extractGraph } from '@espalier/core';
import { prune } from '@espalier/plugin-prune';
import type { PruneOptions } from '@espalier/plugin-prune';
import { liveTensors, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { wordModel } from '../../quantizer/test/models.js';
import { open } from './support.js';

beforeAll(() => onBackend('cpu'));

test.each<[string, unknown, RegExp]>([
  ['a density of everything', { density: 1 }, /option 'density'/],
  ['a ratio that makes it larger', { ratio: 0.5 }, /option 'ratio'/],
  ['a size that is none', { budget: '10 apples' }, /option 'budget'/],
  ['two targets', { ratio: 4, density: 0.1 }, /one of ratio, budget and density/],
  ['an unknown option', { ratios: 4 }, /unknown option 'ratios'. Did you mean 'ratio'\?/],
])('option: %s', (_, options, message) => {
  expect(() => prune(options as PruneOptions)).toThrow(message);
});

test.each<[string, PruneOptions, RegExp]>([
  ['an unknown layer', { layers: ['word'] }, /no layer 'word'.*'words'.*model\/unknown-layer/],
  ['a layer without a matrix', { layers: ['flat'] }, /'flat'.*Flatten.*words.*prune\/layer/],
  ['a model of small layers', {}, /no embedding.*50000 numbers.*lower minSize.*prune\/nothing/],
  [
    'a ratio that the bitmap alone exceeds',
    { layers: ['words'], ratio: 30 },
    /'words'.*smallest possible size of 'embeddings' is 204 bytes.*40 rows.*received: 42.*prune\/budget/i,
  ],
])('%s changes nothing', (_, options, message) =>
  withSession(open(wordModel, options), async (session) => {
    const before = liveTensors();
    await expect(session.transform()).rejects.toThrow(message);
    expect(liveTensors()).toBe(before);
  }),
);

test('a layer named that is pruned', () =>
  withSession(open(wordModel, { layers: ['words'] }), async (session) => {
    await session.transform();
    await expect(session.transform()).rejects.toThrow(/'words' is pruned already.*prune\/layer/);
  }));

test.each([NaN, -Infinity])('%s names layer, matrix and place', (value) => {
  const spoil = definePlugin({
    id: 'block-low-rank',
    version: '0.0.0',
    options: z.strictObject({}),
    effects: { structure: 'modify' },
    stateless: true,
    apply: (ctx) =>
      ctx.hooks.transform.tap(() =>
        tf.tidy(() =>
          ctx.edit((graph) => {
            const numbers = graph.weights['words/embeddings']!.dataSync().slice();
            numbers[19] = value;
            const spoilt = tf.tensor(numbers, [40, 8]);
            return { ...graph, weights: { ...graph.weights, 'words/embeddings': spoilt } };
          }),
        ),
      ),
  });
  const plugins = [prune({ layers: ['words'] }), spoil()];
  return withSession(open(wordModel, {}, { plugins }), async (session) => {
    await expect(session.transform()).rejects.toThrow(
      /\[plugin prune\] transform.*'words', matrix 'embeddings'.*row 2, column 3.*(NaN|-Infinity).*prune\/not-finite/,
    );
    expect(extractGraph(session.model).weights['words/embeddings']!.shape).toEqual([40, 8]);
  });
});

test('a storage that keeps more than there is', () => {
  expect(() => createStorage('m', [2, 3], { kind: 'sparse', kept: 7 })).toThrow(
    /'m' has 2 × 3 numbers.*7.*prune\/kept/,
  );
  expect(() => createStorage('m', [2, 3], { kind: 'sparse', kept: 0 })).toThrow(/'kept'/);
});
