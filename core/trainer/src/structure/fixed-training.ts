import { EspalierError, isPlain } from '@espalier/base';
import { findOwner, listTrainablePaths } from '@espalier/model';
import type { LayerEntry, ModelGraph, TrainingFlags } from '@espalier/model';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** Which of the parameters of the user's model train, by path, whatever the flags of layers say. */
export type FixedTraining = ReadonlyMap<string, boolean>;

/**
 * Asks for each parameter that can train whether it does.
 *
 * @throws EspalierError `session/trainable`.
 */
export function fixTraining(model: LayersModel, trains: (path: string) => boolean): FixedTraining {
  return new Map(listTrainablePaths(model).map((path) => [path, ask(trains, path)]));
}

function ask(trains: (path: string) => boolean, path: string): boolean {
  let answer: unknown;
  try {
    answer = trains(path);
  } catch (cause) {
    throw new EspalierError('session/trainable', {
      problem: `trainable of createSession threw for the parameter '${path}': ${cause instanceof Error ? cause.message : String(cause)}`,
      fix: FIX,
      cause,
    });
  }
  if (typeof answer === 'boolean') return answer;
  throw new EspalierError('session/trainable', {
    problem: `trainable of createSession must return true or false for the parameter '${path}'`,
    received: answer,
    fix: FIX,
  });
}

const FIX = "It gets one path at a time, e.g. trainable: (path) => path.startsWith('head/').";

/** A graph that says of layers and weights what is fixed, and not what flags say. */
export function fixGraph({ topology, ...graph }: ModelGraph, fixed: FixedTraining): ModelGraph {
  const { config, frozen } = topology;
  const still = frozen.filter((path) => path in graph.weights && !fixed.has(path));
  const fixedStill = [...fixed].filter(([, trains]) => !trains).map(([path]) => path);
  const owners = [...fixed].map(([path, trains]) => [findOwner(config, path), trains] as const);
  const layers = config.layers.map((entry): LayerEntry => {
    const own = owners.filter(([owner]) => owner === entry.name);
    if (own.length === 0) return entry;
    const trainable = own.some(([, trains]) => trains);
    return { ...entry, config: setTrainable(entry.config, trainable) as LayerEntry['config'] };
  });
  return {
    ...graph,
    topology: { ...topology, config: { ...config, layers }, frozen: [...still, ...fixedStill] },
  };
}

function setTrainable(value: unknown, trainable: boolean): unknown {
  if (Array.isArray(value)) return value.map((each) => setTrainable(each, trainable));
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).map(([key, each]) => [
    key,
    key === 'trainable' ? trainable : setTrainable(each, trainable),
  ]);
  return Object.fromEntries(entries);
}

/** The flags that make a model train what is fixed. */
export function fixFlags(flags: TrainingFlags, fixed: FixedTraining): TrainingFlags {
  const entries = Object.entries(flags).map(([key, flag]) => {
    if (key.startsWith('layer ')) return [key, true];
    return [key, fixed.get(key.slice('weight '.length)) ?? flag];
  });
  return Object.fromEntries(entries) as TrainingFlags;
}

/** What is fixed and, by the flags of another run, trained there and does not here, or the other way round. */
export function listOtherwiseTrained(
  flags: TrainingFlags,
  fixed: FixedTraining,
  trains: (path: string) => boolean,
): readonly string[] {
  return [...fixed.keys()].filter(
    (path) => `weight ${path}` in flags && trainsBy(flags, path) !== trains(path),
  );
}

function trainsBy(flags: TrainingFlags, path: string): boolean {
  const parts = path.split('/');
  const around = parts.map((_, i) => `layer ${parts.slice(0, i).join('/')}`);
  return [...around, `weight ${path}`].every((key) => flags[key] !== false);
}
