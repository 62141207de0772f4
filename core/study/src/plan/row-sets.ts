import { EspalierError, suggest, writeJson } from '@espalier/core';
import type { Manifest } from '@espalier/core';
import { overlaps } from '../definition/levels.js';
import type { Level } from '../definition/levels.js';

/** The configuration that the changes of a row apply to. */
export interface SwapTarget {
  readonly manifest: Manifest;
  /** Token → the plugin whose entry may bind it. */
  readonly tokens: () => Promise<Readonly<Record<string, string>>>;
}

/** Fields that belong to the study, or that would make rows incomparable. */
const RESERVED: Readonly<Record<string, string>> = {
  seed: 'seeds of a study are its own: seeds: 10',
  backend: 'all rows run on one backend: set it in the base',
  'data.test': 'all rows are tested on the same data; set data.train or data.validation alone',
  checkpoint: 'a study keeps checkpoints itself',
  log: 'a study logs itself',
};

/** A row's changes but for what it swaps, as `--set` of the command line takes them. */
export function plainSets(row: string, levels: readonly Level[], resample?: string): string[] {
  return levels.flatMap(({ change: { preset, drop = [], set = {} } }) => [
    ...(preset === undefined ? [] : [setting('preset', preset)]),
    ...drop.map((id) => setting(`plugins.${id}`, false)),
    ...Object.entries(set).map(([path, value]) => {
      refuseReserved(`row '${row}'`, path, resample);
      return setting(path, value);
    }),
  ]);
}

/**
 * What a row swaps, likewise.
 *
 * @throws EspalierError `study/unknown` with the nearest plugin or token.
 */
export async function swapSets(
  row: string,
  levels: readonly Level[],
  { manifest, tokens }: SwapTarget,
): Promise<string[]> {
  const swaps = levels.flatMap(({ change: { swap = {} } }) => Object.entries(swap));
  const sets: string[] = [];
  for (const [key, entry] of swaps) {
    if (Object.hasOwn(manifest.plugins, key)) {
      sets.push(setting(`plugins.${key}`, entry));
      continue;
    }
    const owners = await tokens();
    const owner = owners[key];
    if (owner === undefined) {
      const known = [...Object.keys(manifest.plugins), ...Object.keys(owners)];
      throw new EspalierError('study/unknown', {
        problem: `row '${row}': there is no plugin or token '${key}' to swap`,
        fix: suggest(key, known),
      });
    }
    sets.push(setting(`plugins.${owner}.bind.${key}`, entry));
  }
  return sets;
}

function setting(path: string, value: unknown): string {
  return `${path}=${writeJson(value, path)}`;
}

/** @throws EspalierError `study/reserved` for a path of the configuration that no row may set. */
export function refuseReserved(owner: string, path: string, resample?: string): void {
  if (resample !== undefined && `${path}.`.startsWith(`${resample}.`)) {
    throw new EspalierError('study/reserved', {
      problem: `${owner} sets '${path}', which resample sets to each trial's seed`,
      fix: 'Leave it out, or leave out resample.',
    });
  }
  const field = Object.keys(RESERVED).find((each) => overlaps(each, path));
  if (field === undefined) return;
  throw new EspalierError('study/reserved', {
    problem: `${owner} sets '${path}'`,
    fix: `Leave it out: ${RESERVED[field]}.`,
  });
}
