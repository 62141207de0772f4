import { EspalierError, parseOptions, suggest } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import * as z from 'zod';

beforeAll(() => onBackend('cpu'));

const layer = z.strictObject({ units: z.int().default(1) });
const schema = z.strictObject({
  layers: z.array(layer).default([]),
  byName: z.record(z.string(), layer).default({}),
  either: z.union([z.string(), z.strictObject({ temperature: z.number() })]).optional(),
});

test.each([
  ['an array', { layers: [{ unit: 3 }] }, "'layers.0.unit'. Did you mean 'units'?"],
  ['a record', { byName: { a: { unit: 3 } } }, "'byName.a.unit'. Did you mean 'units'?"],
  ['a union', { either: { temprature: 1 } }, "'either.temprature'. Did you mean 'temperature'?"],
  ['the top', { layer: [] }, "'layer'. Did you mean 'layers'?"],
])('a misspelt option gets a suggestion: in %s', (_name, value, text) => {
  expect(() => parseOptions('it', schema, value)).toThrow(text);
});

test('what was received is said once, and NaN is NaN', () => {
  const parse = () => parseOptions('it', z.strictObject({ rate: z.number() }), { rate: NaN });
  expect(parse).toThrow("it: option 'rate': expected number, received NaN. (options/invalid)");
});

test('a question is not followed by a full stop', () => {
  const parse = () => parseOptions('it', schema, { layer: [] });
  expect(parse).toThrow("Did you mean 'layers'? (options/invalid)");
});

test('a suggestion shares something with what was written', () => {
  expect(suggest('zz', ['y', 'ab'])).toBe('Known: ab, y.');
  expect(suggest('logit', ['logits', 'hidden'])).toBe("Did you mean 'logits'?");
});

test('a tensor is shown as what it is', () => {
  const received = tf.zeros([2, 3]);
  const { message } = new EspalierError('a/b', { problem: 'wrong', received });
  received.dispose();
  const after = new EspalierError('a/b', { problem: 'wrong', received });
  expect(message).toBe('wrong. Received: a float32 tensor of shape [2, 3]. (a/b)');
  expect(after.message).toContain('a disposed float32 tensor');
});
