import { canonicalJson } from '@espalier/base';
import { diffManifests } from '../preset/index.js';
import { compareSettings } from './compare-settings.js';
import type { Mismatch } from './compare-settings.js';
import type { RunManifest } from './run-manifest.js';

/** What differs between the run that wrote a checkpoint and this one. */
export function findMismatches(
  saved: RunManifest,
  now: RunManifest,
  stateful: readonly string[],
): readonly Mismatch[] {
  return [
    ...comparePlugins(saved, now, stateful),
    ...compare('backend', saved.backend, now.backend),
    ...compare('versions', saved.versions, now.versions),
    ...compare('seed', saved.seed, now.seed),
    ...(now.data === null ? [] : compare('data', saved.data, now.data)),
    ...compare('training', saved.training, now.training),
    ...compareSettings(saved, now),
    ...compareModels(saved, now),
  ];
}

function comparePlugins(
  { preset: saved, states }: RunManifest,
  { preset: now }: RunManifest,
  stateful: readonly string[],
): Mismatch[] {
  const [before, after] = [Object.keys(saved.plugins), Object.keys(now.plugins)];
  const missing = before.filter((id) => !after.includes(id));
  const extra = after.filter((id) => !before.includes(id));
  const unkept = stateful.filter((id) => before.includes(id) && !states[id]);
  const changed = diffManifests(saved, now).filter(
    ({ plugin }) => before.includes(plugin) && after.includes(plugin),
  );
  return [
    ...missing.map((id) => ({
      name: `plugin:${id}`,
      problem: `it was written with plugin '${id}', which this run does not use`,
    })),
    ...extra.map((id) => ({
      name: `plugin:${id}`,
      problem: `it was written without plugin '${id}', which this run uses`,
    })),
    ...unkept.map((id) => ({
      name: `plugin:${id}`,
      problem: `it holds no state of plugin '${id}'`,
    })),
    ...changed.map(({ plugin, text }) => ({ name: `plugin:${plugin}`, problem: text })),
  ];
}

function compareModels(saved: RunManifest, now: RunManifest): Mismatch[] {
  if (saved.edits.length > now.edits.length) return [];
  const [a, b] = [saved.topology, now.topology].map((topology) =>
    canonicalJson(withoutTraining(topology)),
  );
  return a === b ? [] : [{ name: 'model', problem: 'its model has another topology' }];
}

/** What trains is no part of the comparison: it may change between fits, and is taken over. */
function withoutTraining(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTraining);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => !['trainable', 'frozen'].includes(key));
  return Object.fromEntries(entries.map(([key, each]) => [key, withoutTraining(each)]));
}

function compare(name: string, saved: unknown, now: unknown): Mismatch[] {
  const [was, is] = [canonicalJson(saved), canonicalJson(now)];
  return was === is ? [] : [{ name, problem: `its ${name} was ${was}, now it is ${is}` }];
}
