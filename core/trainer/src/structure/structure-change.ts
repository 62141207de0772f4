import * as tf from '@tensorflow/tfjs-core';
import type { Clock } from '../clock.js';
import type { Structure } from './structure.js';

/** What became of the parameters of the run, by path. All lists are empty where only layers without any changed. */
export interface StructureChange {
  readonly clock: Clock;
  /** Parameters that were not there before. */
  readonly added: readonly string[];
  /** Parameters that are gone. */
  readonly dropped: readonly string[];
  /** Parameters that have another shape than before. */
  readonly reshaped: readonly string[];
  /** Parameters that were there and trained, and train no longer. */
  readonly frozen: readonly string[];
  /** Parameters that were there and did not train, and do from now on. */
  readonly unfrozen: readonly string[];
}

/**
 * What is kept by parameter path, after a change of structure: values of dropped and reshaped
 * parameters are left out, all others stay. Tensors in the values left out are disposed.
 *
 * @example
 * ctx.hooks.structureChange.tap((change) => {
 *   average = followPaths(average, change);
 * });
 */
export function followPaths<T>(
  record: Readonly<Record<string, T>>,
  { dropped, reshaped }: Pick<StructureChange, 'dropped' | 'reshaped'>,
): Record<string, T> {
  const lost = new Set([...dropped, ...reshaped]);
  const entries = Object.entries(record);
  tf.dispose(entries.filter(([path]) => lost.has(path)).map(([, value]) => value as tf.Tensor));
  return Object.fromEntries(entries.filter(([path]) => !lost.has(path)));
}

/** The structure at one moment, as far as a change is told by it. */
export interface Census {
  readonly model: unknown;
  readonly parameters: ReadonlyMap<string, { readonly shape: string; readonly trains: boolean }>;
}

export function takeCensus({ layersModel, parameters }: Structure): Census {
  const trains = new Set(parameters.trainable);
  const entries = Object.entries(parameters.values()).map(
    ([path, { shape }]) => [path, { shape: String(shape), trains: trains.has(path) }] as const,
  );
  return { model: layersModel, parameters: new Map(entries) };
}

/** How the structure changed from one moment to another; nothing where it did not. */
export function compareCensuses(
  { model, parameters: before }: Census,
  { model: modelNow, parameters: now }: Census,
): Omit<StructureChange, 'clock'> | undefined {
  const there = [...now.keys()].filter((path) => before.has(path));
  const turned = there.filter((path) => before.get(path)!.trains !== now.get(path)!.trains);
  const change = {
    added: [...now.keys()].filter((path) => !before.has(path)),
    dropped: [...before.keys()].filter((path) => !now.has(path)),
    reshaped: there.filter((path) => before.get(path)!.shape !== now.get(path)!.shape),
    frozen: turned.filter((path) => before.get(path)!.trains),
    unfrozen: turned.filter((path) => now.get(path)!.trains),
  };
  const same = Object.values(change).every((paths) => paths.length === 0);
  return same && model === modelNow ? undefined : change;
}
