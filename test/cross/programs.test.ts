import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { keyedRng } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { run as dataset } from '../../examples/programs/dataset/plain.js';
import { run as fineTuning } from '../../examples/programs/fine-tuning/plain.js';
import { run as gan } from '../../examples/programs/gan/plain.js';
import { run as imageClassifier } from '../../examples/programs/image-classifier/plain.js';
import { run as rawVariables } from '../../examples/programs/raw-variables/plain.js';
import { run as textGeneration } from '../../examples/programs/text-generation/plain.js';

/** The commit that added the programs, before there was anything to attach, and the SHA-256 of each. */
const FIRST = 'b3f5389';
const PROGRAMS: Readonly<Record<string, string>> = {
  dataset: 'a0c4ce70431059b03a3421cbd86121b453c8a6b1da89de741162918fe0bb2733',
  'fine-tuning': 'f2b1d5716f0e36a652c78f4fd2e96d4a43666976b9b8e2d05b23395dead2191c',
  gan: '2bfadc534d761e87b91da113f250519000266dd891fa941f312befc47021bb66',
  'image-classifier': '88457c7eff1e8d4ec67afe8f48225693e095b809d9420dd7f4f19f6945f1aa7e',
  'raw-variables': '6be20b403a8d1b3d356558b3847d9ab8830d4268dcbe628bad230ec1f78f3403',
  'text-generation': '1c7ec69dafbc02313d0526cfb34ab6b937879e5703baaa6634293d1a3a8d2738',
};

const ROOT = new URL('../../', import.meta.url);
const pathOf = (name: string, variant: string) => `examples/programs/${name}/${variant}.ts`;

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

describe.each(Object.entries(PROGRAMS))('%s', (name, sha256) => {
  const plain = read(name, 'plain');

  test(`is as it was committed in ${FIRST}`, () => {
    expect(createHash('sha256').update(plain).digest('hex')).toBe(sha256);
    expect(committed(name) ?? plain).toBe(plain);
  });
});

function read(name: string, variant: string): string {
  return readFileSync(fileURLToPath(new URL(pathOf(name, variant), ROOT)), 'utf8');
}

/** The program in the history of the repository, where there is one. */
function committed(name: string): string | undefined {
  try {
    const args = ['show', `${FIRST}:${pathOf(name, 'plain')}`];
    const stdio = ['ignore', 'pipe', 'ignore'] as ['ignore', 'pipe', 'ignore'];
    return execFileSync('git', args, { cwd: fileURLToPath(ROOT), encoding: 'utf8', stdio });
  } catch {
    return undefined;
  }
}
