import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { keyedRng } from '@espalier/core';
import { onBackend } from '@espalier/testkit';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { run as datasetAttached } from '../../examples/programs/dataset/attached.js';
import { run as dataset } from '../../examples/programs/dataset/plain.js';
import { run as fineTuningAttached } from '../../examples/programs/fine-tuning/attached.js';
import { run as fineTuning } from '../../examples/programs/fine-tuning/plain.js';
import { run as ganAttached } from '../../examples/programs/gan/attached.js';
import { run as gan } from '../../examples/programs/gan/plain.js';
import { run as imageClassifierAttached } from '../../examples/programs/image-classifier/attached.js';
import { run as imageClassifier } from '../../examples/programs/image-classifier/plain.js';
import { run as rawVariablesAttached } from '../../examples/programs/raw-variables/attached.js';
import { run as rawVariables } from '../../examples/programs/raw-variables/plain.js';
import { run as textGenerationAttached } from '../../examples/programs/text-generation/attached.js';
import { run as textGeneration } from '../../examples/programs/text-generation/plain.js';
import { countChangedLines } from '../cross/sources/line-diff.js';

/** The commit that has the programs as they were before there was anything to attach. */
const FIRST = 'b3f5389';
const ROOT = new URL('../../', import.meta.url);
const pathOf = (name: string, variant: string) => `examples/programs/${name}/${variant}.ts`;

/** A program of TensorFlow.js, and the same with a preset. */
interface Program {
  /** Of the program in {@link FIRST}. */
  readonly sha256: string;
  readonly runs: Readonly<Record<'plain' | 'attached', () => Promise<void>>>;
}

/** Both must reach the same level. */
function program<T>({
  plain,
  attached,
  sha256,
  expectLevel,
}: {
  readonly plain: () => Promise<T>;
  readonly attached: () => Promise<T>;
  readonly sha256: string;
  readonly expectLevel: (reached: T) => void;
}): Program {
  const checked = (run: () => Promise<T>) => async () => expectLevel(await run());
  return { sha256, runs: { plain: checked(plain), attached: checked(attached) } };
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  dataset: program({
    plain: dataset,
    attached: datasetAttached,
    sha256: 'a0c4ce70431059b03a3421cbd86121b453c8a6b1da89de741162918fe0bb2733',
    expectLevel: ({ accuracy, epochs, shownEpochs }) => {
      expect(accuracy).toBeGreaterThan(0.9);
      expect(epochs).toBeLessThan(40);
      expect(shownEpochs).toBe(epochs);
    },
  }),
  'fine-tuning': program({
    plain: fineTuning,
    attached: fineTuningAttached,
    sha256: 'f2b1d5716f0e36a652c78f4fd2e96d4a43666976b9b8e2d05b23395dead2191c',
    expectLevel: ({ headOnly, whole }) => {
      expect(headOnly.moved).toBe(0);
      expect(whole.moved).toBeGreaterThan(0.01);
      expect(whole.accuracy).toBeGreaterThan(0.9);
    },
  }),
  gan: program({
    plain: gan,
    attached: ganAttached,
    sha256: '2bfadc534d761e87b91da113f250519000266dd891fa941f312befc47021bb66',
    expectLevel: ({ before, distance }) => {
      expect(before).toBeGreaterThan(1);
      expect(distance).toBeLessThan(0.7);
    },
  }),
  'image-classifier': program({
    plain: imageClassifier,
    attached: imageClassifierAttached,
    sha256: '88457c7eff1e8d4ec67afe8f48225693e095b809d9420dd7f4f19f6945f1aa7e',
    expectLevel: ({ accuracy, batches, epochs, logged }) => {
      expect(accuracy).toBeGreaterThan(0.9);
      expect(batches).toBe(40);
      expect(epochs).toHaveLength(5);
      expect(logged).toEqual(['acc', 'loss', 'val_acc', 'val_loss']);
    },
  }),
  'raw-variables': program({
    plain: rawVariables,
    attached: rawVariablesAttached,
    sha256: '6be20b403a8d1b3d356558b3847d9ab8830d4268dcbe628bad230ec1f78f3403',
    expectLevel: ({ accuracy, steps }) => {
      expect(steps).toBe(120);
      expect(accuracy).toBeGreaterThan(0.9);
    },
  }),
  'text-generation': program({
    plain: textGeneration,
    attached: textGenerationAttached,
    sha256: '1c7ec69dafbc02313d0526cfb34ab6b937879e5703baaa6634293d1a3a8d2738',
    expectLevel: ({ right, losses, samples }) => {
      expect(losses).toHaveLength(6);
      expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
      expect(samples).toBeGreaterThan(2);
      expect(right).toBeGreaterThan(0.5);
    },
  }),
};

beforeAll(() => onBackend('wasm'));
// The programs draw first weights and the order of rows as TensorFlow.js does.
beforeEach(() => {
  vi.spyOn(Math, 'random').mockImplementation(keyedRng(1, 'programs'));
});

describe.each(Object.entries(PROGRAMS))('%s', (name, { sha256, runs }) => {
  const plain = read(name, 'plain');

  test(`is as it was committed in ${FIRST}`, () => {
    expect(createHash('sha256').update(plain).digest('hex')).toBe(sha256);
    expect(committed(name) ?? plain).toBe(plain);
  });

  test('learns', runs.plain);

  test('takes a preset by three lines more and none changed', () => {
    const { added, removed } = countChangedLines(plain, read(name, 'attached'));
    expect(added).toBeLessThanOrEqual(3);
    expect(removed).toBe(0);
  });

  test('reaches with a preset what it reached', runs.attached);
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
