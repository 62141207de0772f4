import { canonicalJson, isPlain } from '@espalier/base';
import type { RunManifest } from './run-manifest.js';

/** One difference that makes a resumed run another run, under the name by which it is allowed. */
export interface Mismatch {
  readonly name: string;
  readonly problem: string;
}

/** Names of differences that change training only: whoever evaluates or exports a checkpoint may accept them. */
export const TRAINING_DIFFERENCES: readonly string[] = [
  'learningRate',
  'optimizer',
  'batchSize',
  'shuffle',
  'source',
  'validation',
];

/** What differs in learning rates, options of optimizers, batches and held-out data, by name. */
export function compareSettings(saved: RunManifest, now: RunManifest): readonly Mismatch[] {
  const [was, is] = [saved.settings, now.settings];
  if (!was || !is) return [];
  return [
    ...(isSameOptimizer(saved, now)
      ? compareAll(was.optimizer, is.optimizer, nameOfOptimizer)
      : []),
    ...(now.data === null ? [] : compareAll(was.source, is.source, nameOfSource)),
    ...compareValidation(was.validation, is.validation),
  ];
}

/** Another optimizer is a difference of its own. */
function isSameOptimizer(saved: RunManifest, now: RunManifest): boolean {
  const [was, is] = [saved, now].map(({ training }) => canonicalJson(training['optimizer']));
  return was === is;
}

type Settings = Readonly<Record<string, unknown>>;

function compareAll(was: Settings, is: Settings, nameOf: (key: string) => string): Mismatch[] {
  const keys = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  const differing = keys.filter((key) => describe(was[key]) !== describe(is[key]));
  return differing.map((key) => ({ name: nameOf(key), problem: tell(key, was[key], is[key]) }));
}

function nameOfOptimizer(key: string): string {
  return key.includes('learningRate') ? 'learningRate' : 'optimizer';
}

function nameOfSource(key: string): string {
  return TRAINING_DIFFERENCES.includes(key) ? key : 'source';
}

function describe(value: unknown): string {
  return value === undefined ? 'none' : canonicalJson(value);
}

/** Of functions of the step only the first value that differs. */
function tell(key: string, was: unknown, is: unknown): string {
  const step = findStep(was, is);
  if (step === undefined) return `its ${key} was ${describe(was)}, now it is ${describe(is)}`;
  const [before, after] = [was, is].map((each) => describe((each as Settings)[step]));
  return `its ${key} was ${before} at step ${step}, now it is ${after}`;
}

function findStep(was: unknown, is: unknown): string | undefined {
  if (!isPlain(was) || !isPlain(is)) return undefined;
  const steps = Object.keys(was).filter((key) => /^\d+$/.test(key));
  return steps.find((step) => describe(was[step]) !== describe(is[step]));
}

function compareValidation(was: string | null, is: string | null): Mismatch[] {
  if (was === null || is === null || was === is) return [];
  const problem = `its validation data were '${was}', now they are '${is}'`;
  return [{ name: 'validation', problem }];
}
