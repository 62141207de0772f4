import { buildConfig } from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import { EspalierError, writeJson } from '@espalier/core';
import type { LoadedStudy } from '../definition/load-study.js';
import type { Sample } from './planned-row.js';

/** A configuration with the sample of a seed, and the settings that draw it; as it is without `resample`. */
export function drawSample(
  { base: { written, file, modules }, settings: { resample } }: LoadedStudy,
  config: LoadedConfig,
  seed: number,
  before: readonly string[] = [],
): { readonly config: LoadedConfig; readonly sets: readonly string[] } {
  if (resample === undefined) return { config, sets: [] };
  const { train } = config.settings.data;
  const isShort = typeof config.written.data?.train === 'string';
  const sets = [
    ...(isShort ? [`data.train=${writeJson({ use: train!.use }, 'data.train')}`] : []),
    `${resample}=${seed}`,
  ];
  const drawn = buildConfig(written, { file, modules, sets: [...before, ...sets] });
  return { config: drawn, sets };
}

/**
 * @throws EspalierError `study/resample` where two seeds draw the same: the option does nothing, or the seeds
 * are no independent samples.
 */
export function refuseEqualSamples(
  row: string,
  resample: string,
  samples: ReadonlyMap<number, Sample>,
): void {
  const owners = new Map<string, number>();
  for (const [seed, { data }] of samples) {
    const same = owners.get(data.train);
    if (same !== undefined) {
      throw new EspalierError('study/resample', {
        problem: `row '${row}': seeds ${same} and ${seed} draw the same training data with ${resample}`,
        fix: 'Let the function of data.train draw its examples by this option, or leave resample out.',
      });
    }
    owners.set(data.train, seed);
  }
}
