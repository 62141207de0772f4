import { EspalierError, suggest } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import { loadLatest, toTensor } from '@espalier/checkpoint';
import type { Checkpoint, CheckpointStore } from '@espalier/checkpoint';
import type { OptimizerState } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { SavedState, StateContract } from '../plugins/plugin.js';
import type { Run } from '../run.js';
import { compareCensuses, takeCensus } from '../structure/structure-change.js';
import type { Census } from '../structure/structure-change.js';
import type { Mismatch } from './compare-settings.js';
import { findMismatches } from './mismatch.js';
import { invalidManifest, readRunManifest } from './read-manifest.js';
import type { RunManifest } from './run-manifest.js';
import { callPlugin, PARAMETERS, slotKey, takeSnapshot } from './snapshot.js';

/** How to load. */
export interface LoadOptions {
  readonly store?: CheckpointStore;
  /** Differences to accept, by the names that the error gives: `backend`, `plugin:ema`, … */
  readonly allowMismatch?: readonly string[];
}

/** Takes over the newest good checkpoint, all or nothing; `false` when there is none. */
export async function restore(
  run: Run,
  store: CheckpointStore,
  { allowMismatch = [] }: LoadOptions,
): Promise<boolean> {
  const found = await loadLatest(store, (name, error) =>
    run.telemetry.emit('warning', { message: `passed over checkpoint ${name}: ${String(error)}` }),
  );
  if (!found) return false;
  const before = await takeSnapshot(run);
  const now = before.manifest as RunManifest;
  const saved = readRunManifest(store.location, found.manifest, now);
  refuseMissingSlots(store, saved, found.tensors);
  refuseMismatches(store, findMismatches(saved, now, [...run.states.keys()]), allowMismatch);
  const transformed = saved.edits.length > now.edits.length;
  const census = takeCensus(run.structure);
  try {
    takeOver(run, found, { rebuild: transformed, allowMismatch });
  } catch (error) {
    takeOver(run, before, { rebuild: transformed, allowMismatch: ['model'] });
    throw error;
  }
  if (!saved.settings) warnOfUnnoted(run);
  warnOfTraining(run, census);
  warnOfFixed(run, saved);
  return true;
}

/** What trained when the checkpoint was written trains from here on. */
function warnOfTraining({ structure, telemetry }: Run, before: Census): void {
  const change = compareCensuses(before, takeCensus(structure));
  const said = [
    ['trained', change?.unfrozen ?? []],
    ['did not train', change?.frozen ?? []],
  ] as const;
  const lists = said.filter(([, paths]) => paths.length > 0);
  if (lists.length === 0) return;
  const differences = lists.map(([what, paths]) => `${what} '${paths.join("', '")}'`).join(' and ');
  const message = `the run of the checkpoint ${differences}: so does this run from here on; set trainable after load for anything else`;
  telemetry.emit('warning', { message });
}

function warnOfUnnoted({ telemetry }: Run): void {
  const message =
    'the checkpoint is of an earlier release, which did not note learning rates, options of the optimizer, batch size, shuffle and validation data: whether this run has the same, nobody can tell';
  telemetry.emit('warning', { message });
}

/** What the configuration fixes holds, whatever the run of the checkpoint did. */
function warnOfFixed({ structure, telemetry }: Run, { trainable }: RunManifest): void {
  const paths = structure.listOtherwiseTrained(trainable);
  if (paths.length === 0) return;
  const message = `whether '${paths.join("', '")}' trains was otherwise in the run of the checkpoint: this run does as its option trainable says`;
  telemetry.emit('warning', { message });
}

function refuseMismatches(
  { location }: CheckpointStore,
  found: readonly Mismatch[],
  allowMismatch: readonly string[],
): void {
  const left = found.filter(({ name }) => !allowMismatch.includes(name));
  if (left.length === 0) return;
  const names = [...new Set(left.map(({ name }) => name))];
  throw new EspalierError('checkpoint/mismatch', {
    problem: `the checkpoint in ${location} was made by another run: ${left.map(({ problem }) => problem).join('; ')}`,
    fix: `Use the run's own configuration, or accept by name: load({ allowMismatch: [${names.map((name) => `'${name}'`).join(', ')}] }). The checkpoint is untouched.`,
    details: { allowMismatch: names },
  });
}

function refuseMissingSlots(
  { location }: CheckpointStore,
  { slots }: RunManifest,
  tensors: Checkpoint['tensors'],
): void {
  const keys = Object.entries(slots).flatMap(([slot, paths]) =>
    paths.map((path) => slotKey(slot, path)),
  );
  const missing = keys.find((key) => !tensors.has(key));
  if (missing === undefined) return;
  throw invalidManifest(location, `it has no tensor '${missing}'`);
}

function takeOver(
  run: Run,
  { manifest, tensors }: Checkpoint,
  {
    rebuild,
    allowMismatch,
  }: { readonly rebuild: boolean; readonly allowMismatch: readonly string[] },
): void {
  const { structure } = run;
  const saved = manifest as RunManifest;
  run.clock.restore(saved.clock);
  run.epoch.restore(saved.epoch);
  run.history = [...saved.history];
  run.stopReason = saved.stopReason ?? undefined;
  run.progress = saved.stages;
  run.transformed.clear();
  saved.transformed.forEach((id) => run.transformed.add(id));
  const restored = tf.tidy(() =>
    Object.fromEntries([...tensors].map(([name, entry]) => [name, toTensor(entry)])),
  );
  try {
    const states = readStates(run.states, saved, restored);
    const values = selectPrefix(restored, PARAMETERS);
    if (rebuild) structure.rebuild(saved, values);
    structure.trainingFlags = saved.trainable;
    structure.followTraining();
    structure.parameters.assign(chooseValues(structure.parameters.paths, values, allowMismatch));
    structure.parameters.noteGiven();
    tf.tidy(() => run.optimizer.init(readSlots(saved.slots, restored)));
    run.optimizer.ownSteps = saved.ownSteps ?? {};
    run.announceStructure();
    for (const { id, contract, state } of states)
      callPlugin(id, 'load', () => contract.load(state));
  } finally {
    tf.dispose(restored);
  }
}

/** Every plugin's state in its current version, before any is loaded. */
function readStates(
  contracts: ReadonlyMap<string, StateContract>,
  saved: RunManifest,
  restored: NamedTensors,
): { id: string; contract: StateContract; state: SavedState }[] {
  return [...contracts].flatMap(([id, contract]) => {
    const entry = saved.states[id];
    if (!entry) return [];
    const state = { json: entry.json, tensors: selectPrefix(restored, `states/${id}/`) };
    if (entry.version === contract.version) return [{ id, contract, state }];
    if (contract.migrate && entry.version < contract.version) {
      const migrated = callPlugin(id, 'migrate', () => contract.migrate!(state, entry.version));
      return [{ id, contract, state: migrated }];
    }
    throw new EspalierError('checkpoint/state-version', {
      problem: `plugin '${id}' keeps state version ${contract.version} and cannot read version ${entry.version}`,
      fix: 'Use the plugin release that wrote it, or one with a migrate function.',
    });
  });
}

function readSlots(saved: RunManifest['slots'], restored: NamedTensors): OptimizerState {
  const tensors = (slot: string, paths: readonly string[]) =>
    Object.fromEntries(paths.map((path) => [path, tf.clone(restored[slotKey(slot, path)]!)]));
  return Object.fromEntries(
    Object.entries(saved).map(([slot, paths]) => [slot, tensors(slot, paths)]),
  );
}

function selectPrefix(tensors: NamedTensors, prefix: string): NamedTensors {
  const mine = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(mine.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** The values for `paths`; only where a network may be another one, some may be missing. */
function chooseValues(
  paths: readonly string[],
  values: NamedTensors,
  allowMismatch: readonly string[],
) {
  const missing = paths.find((path) => !values[path]);
  if (
    missing === undefined ||
    allowMismatch.some((name) => name === 'model' || name.startsWith('plugin:'))
  ) {
    const found = paths.filter((path) => values[path]);
    return Object.fromEntries(found.map((path) => [path, values[path]!]));
  }
  throw new EspalierError('checkpoint/missing', {
    problem: `the checkpoint has no value for the parameter '${missing}'`,
    fix: `${suggest(missing, Object.keys(values))} Use the run's own model, or load({ allowMismatch: ['model'] }) to keep the values of such parameters.`,
    details: { allowMismatch: ['model'] },
  });
}
