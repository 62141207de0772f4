import { keyedRng } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import { beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { run as dataset } from '../../examples/programs/dataset/plain.js';
import { run as fineTuning } from '../../examples/programs/fine-tuning/plain.js';
import { run as gan } from '../../examples/programs/gan/plain.js';
import { run as imageClassifier } from '../../examples/programs/image-classifier/plain.js';
import { run as rawVariables } from '../../examples/programs/raw-variables/plain.js';
import { run as textGeneration } from '../../examples/programs/text-generation/plain.js';

beforeAll(() => onBackend('wasm'));
// The programs draw first weights and the order of rows as TensorFlow.js does.
beforeEach(() => {
  vi.spyOn(Math, 'random').mockImplementation(keyedRng(1, 'programs'));
});

test('an image classifier learns, and its callbacks see every batch and epoch', async () => {
  const { accuracy, batches, epochs, logged } = await imageClassifier();
  expect(accuracy).toBeGreaterThan(0.9);
  expect(batches).toBe(40);
  expect(epochs).toHaveLength(5);
  expect(logged).toEqual(['acc', 'loss', 'val_acc', 'val_loss']);
});

test('a dataset is learned, and training ends early', async () => {
  const { accuracy, epochs, shownEpochs } = await dataset();
  expect(accuracy).toBeGreaterThan(0.9);
  expect(epochs).toBeLessThan(40);
  expect(shownEpochs).toBe(epochs);
});

test('text is learned fit by fit, and samples show it', async () => {
  const { losses, samples } = await textGeneration();
  expect(losses).toHaveLength(6);
  expect(losses.at(-1)).toBeLessThan(0.6);
  expect(samples).toBeGreaterThan(2);
});

test('a GAN generates points near those of their class', async () => {
  const { before, distance } = await gan();
  expect(before).toBeGreaterThan(1);
  expect(distance).toBeLessThan(0.7);
});

test('fine-tuning moves frozen layers in its second phase only', async () => {
  const { headOnly, whole } = await fineTuning();
  expect(headOnly.moved).toBe(0);
  expect(whole.moved).toBeGreaterThan(0.01);
  expect(whole.accuracy).toBeGreaterThan(0.9);
});

test('raw variables learn', async () => {
  const { accuracy, steps } = await rawVariables();
  expect(steps).toBe(120);
  expect(accuracy).toBeGreaterThan(0.9);
});
