import { attribute, copyJson, EspalierError, suggest } from '@espalier/base';
import { loadLatest, readTensors, saveCheckpoint, toTensor } from '@espalier/checkpoint';
import type { Checkpoint, CheckpointStore } from '@espalier/checkpoint';
import { extractGraph } from '@espalier/model';
import type { EditRecord, TrainingFlags } from '@espalier/model/structure';
import type { GradientTransform, OptimizerState } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import { version_core as tfjsVersion } from '@tensorflow/tfjs-core';
import type { NamedTensors } from './batch.js';
import type { EpochResult } from './hooks.js';
import { mismatches } from './mismatch.js';
import type { SavedState, StateContract } from './plugin.js';
import type { Manifest } from './preset/index.js';
import type { Run, RunClock } from './run.js';
import { checkState } from './saved-state.js';
import type { SessionConfig } from './session-config.js';
import type { Assembled } from './setup.js';
import type { StageProgress } from './stages.js';
import { changeBetween, takeCensus } from './structure-change.js';
import type { Census } from './structure-change.js';

/** What a checkpoint says beside its tensors: enough to refuse a wrong one and to go on exactly. */
export interface RunManifest {
  readonly seed: number;
  readonly clock: RunClock;
  readonly epoch: Run['epoch'];
  readonly history: readonly EpochResult[];
  /** What a plugin said that stopped the run; null where none has. */
  readonly stopReason: string | null;
  readonly stages: StageProgress;
  /** Plugins whose transform has run. */
  readonly transformed: readonly string[];
  readonly preset: Manifest;
  readonly backend: Readonly<Record<string, unknown>>;
  readonly versions: { readonly tfjs: string };
  /** Fingerprint of the training data; null when the session has none. */
  readonly data: string | null;
  /** What else makes the steps what they are, as far as it has a name. */
  readonly training: Readonly<Record<string, unknown>>;
  /** The final topology: with the weights, the truth about the model. */
  readonly topology: unknown;
  /** `trainable` of every layer and weight: it may change between fits. */
  readonly trainable: TrainingFlags;
  readonly edits: readonly EditRecord[];
  /** Slot → paths; the tensors are `slots/<slot>/<path>`. */
  readonly slots: Readonly<Record<string, readonly string[]>>;
  readonly states: Readonly<Record<string, { readonly version: number; readonly json?: unknown }>>;
}

/** How to load. */
export interface LoadOptions {
  readonly store?: CheckpointStore;
  /** Differences to accept, by the names that the error gives: `backend`, `plugin:ema`, … */
  readonly allowMismatch?: readonly string[];
}

/** Writes the whole state of a run; gives back the checkpoint's name. */
export async function snapshot(
  assembled: Assembled,
  config: SessionConfig,
  store: CheckpointStore,
): Promise<string> {
  refuseUnresumable(assembled.run.optimizer);
  const checkpoint = await capture(assembled, config);
  const { clock } = checkpoint.manifest as RunManifest;
  const { keep } = config.checkpoint ?? {};
  return saveCheckpoint(store, checkpoint, { step: clock.step, keep });
}

/** The state at one moment: training may go on while the device is read. */
async function capture(assembled: Assembled, config: SessionConfig): Promise<Checkpoint> {
  const data = await fingerprintOf(config);
  const { run, parts } = assembled;
  const saved = new Map(
    [...parts.states].map(([id, contract]) => [id, calling(id, 'save', () => contract.save())]),
  );
  const manifest = copyJson(manifestOf(assembled, data, saved, config), 'manifest');
  return { manifest, tensors: await readTensors(allTensors(run, saved)) };
}

/** A plugin's part of saving and loading, its errors named after it. */
function calling<T>(plugin: string, hook: 'save' | 'load' | 'migrate', call: () => T): T {
  try {
    const result = call();
    if (hook !== 'load') checkState(hook, result);
    return result;
  } catch (error) {
    throw attribute(error, { plugin, hook });
  }
}

async function fingerprintOf({ train }: SessionConfig): Promise<string | null> {
  return (await train?.fingerprint()) ?? null;
}

/** Takes over the newest good checkpoint, all or nothing; `false` when there is none. */
export async function restore(
  assembled: Assembled,
  config: SessionConfig,
  store: CheckpointStore,
  { allowMismatch = [] }: LoadOptions,
): Promise<boolean> {
  const { run, parts } = assembled;
  const found = await loadLatest(store, (name, error) =>
    run.telemetry.emit('warning', { message: `passed over checkpoint ${name}: ${String(error)}` }),
  );
  if (!found) return false;
  const saved = found.manifest as RunManifest;
  const before = await capture(assembled, config);
  const now = before.manifest as RunManifest;
  refuse(store, mismatches(saved, now, [...parts.states.keys()]), allowMismatch);
  const transformed = saved.edits.length > now.edits.length;
  const census = takeCensus(run.structure);
  try {
    takeOver(assembled, found, { rebuild: transformed, allowMismatch });
  } catch (error) {
    takeOver(assembled, before, { rebuild: transformed, allowMismatch: ['model'] });
    throw error;
  }
  warnOfTraining(run, census);
  return true;
}

/** What trained when the checkpoint was written trains from here on. */
function warnOfTraining({ structure, telemetry }: Run, before: Census): void {
  const change = changeBetween(before, takeCensus(structure));
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

function manifestOf(
  { run, parts, resolved, backend }: Assembled,
  data: string | null,
  saved: ReadonlyMap<string, SavedState>,
  { train }: SessionConfig,
): RunManifest {
  const states = [...saved].map(([id, { json }]) => {
    const { version } = parts.states.get(id)!;
    return [id, { version, ...(json !== undefined && { json }) }];
  });
  return {
    seed: run.seed,
    clock: { ...run.clock },
    epoch: run.epoch,
    history: run.history,
    stopReason: run.stopReason ?? null,
    stages: run.progress,
    transformed: [...run.transformed],
    preset: resolved.manifest,
    backend: { name: backend.backend, simd: backend.simd, threads: backend.threads },
    versions: { tfjs: tfjsVersion },
    data,
    training: {
      semantics: run.semantics,
      losses: Object.fromEntries(
        Object.entries(run.losses).map(([name, loss]) => [name, loss.name]),
      ),
      optimizer: { name: run.optimizer.name, slots: Object.keys(run.optimizerState) },
      accumulate: run.accumulate,
      batchesPerEpoch: train?.batchesPerEpoch ?? null,
    },
    topology: topologyOf(run),
    trainable: run.structure.trainingFlags,
    edits: run.structure.edits,
    slots: Object.fromEntries(
      Object.entries(run.optimizerState).map(([slot, tensors]) => [slot, Object.keys(tensors)]),
    ),
    states: Object.fromEntries(states),
  };
}

function refuseUnresumable({ name, resumable }: GradientTransform): void {
  if (resumable !== false) return;
  throw new EspalierError('checkpoint/optimizer', {
    problem: `the optimizer '${name}' keeps state that no checkpoint can hold`,
    fix: 'Use one of the framework in place of fromTfOptimizer (tfjs.adam() and its like are tf.train.* to the bit; tfjs.convert(optimizer) makes one), or train without checkpoints.',
  });
}

/** Null for models with layers that are not registered: they train, but cannot be described. */
function topologyOf(run: Run): unknown {
  try {
    return extractGraph(run.structure.layersModel).topology;
  } catch {
    return null;
  }
}

function allTensors(run: Run, saved: ReadonlyMap<string, SavedState>): NamedTensors {
  const { parameters, optimizerState: slots } = run;
  const named: [string, tf.Tensor][] = Object.entries(parameters.values()).map(([path, value]) => [
    `parameters/${path}`,
    value,
  ]);
  for (const [slot, tensors] of Object.entries(slots)) {
    for (const [path, tensor] of Object.entries(tensors)) named.push([slotKey(slot, path), tensor]);
  }
  for (const [id, { tensors = {} }] of saved) {
    for (const [name, tensor] of Object.entries(tensors))
      named.push([`states/${id}/${name}`, tensor]);
  }
  return Object.fromEntries(named);
}

function slotKey(slot: string, path: string): string {
  return `slots/${slot}/${path}`;
}

function refuse(
  { location }: CheckpointStore,
  found: readonly { readonly name: string; readonly problem: string }[],
  allowMismatch: readonly string[],
): void {
  const left = found.filter(({ name }) => !allowMismatch.includes(name));
  if (left.length === 0) return;
  throw new EspalierError('checkpoint/mismatch', {
    problem: `the checkpoint in ${location} was made by another run: ${left.map(({ problem }) => problem).join('; ')}`,
    fix: `Use the run's own configuration, or accept by name: load({ allowMismatch: [${left.map(({ name }) => `'${name}'`).join(', ')}] }). The checkpoint is untouched.`,
  });
}

function takeOver(
  { run, parts }: Assembled,
  { manifest, tensors }: Checkpoint,
  {
    rebuild,
    allowMismatch,
  }: { readonly rebuild: boolean; readonly allowMismatch: readonly string[] },
): void {
  const saved = manifest as RunManifest;
  Object.assign(run.clock, saved.clock);
  run.epoch = saved.epoch;
  run.history = [...saved.history];
  run.stopReason = saved.stopReason ?? undefined;
  run.progress = saved.stages;
  run.transformed.clear();
  saved.transformed.forEach((id) => run.transformed.add(id));
  const restored = tf.tidy(() =>
    Object.fromEntries([...tensors].map(([name, entry]) => [name, tf.keep(toTensor(entry))])),
  );
  try {
    const states = statesOf(parts.states, saved, restored);
    const values = under(restored, 'parameters/');
    if (rebuild) run.structure.rebuild(saved, values);
    run.structure.trainingFlags = saved.trainable;
    run.structure.followTraining();
    run.parameters.assign(chosen(run.parameters.paths, values, allowMismatch));
    tf.tidy(() => run.initOptimizerState(slotsOf(saved.slots, restored)));
    run.announceStructure();
    for (const { id, contract, state } of states) calling(id, 'load', () => contract.load(state));
  } finally {
    tf.dispose(restored);
  }
}

/** Every plugin's state in its current version, before any is loaded. */
function statesOf(
  contracts: ReadonlyMap<string, StateContract>,
  saved: RunManifest,
  restored: NamedTensors,
): { id: string; contract: StateContract; state: SavedState }[] {
  return [...contracts].flatMap(([id, contract]) => {
    const entry = saved.states[id];
    if (!entry) return [];
    const state = { json: entry.json, tensors: under(restored, `states/${id}/`) };
    if (entry.version === contract.version) return [{ id, contract, state }];
    if (contract.migrate && entry.version < contract.version) {
      const migrated = calling(id, 'migrate', () => contract.migrate!(state, entry.version));
      return [{ id, contract, state: migrated }];
    }
    throw new EspalierError('checkpoint/state-version', {
      problem: `plugin '${id}' keeps state version ${contract.version} and cannot read version ${entry.version}`,
      fix: 'Use the plugin release that wrote it, or one with a migrate function.',
    });
  });
}

function slotsOf(saved: RunManifest['slots'], restored: NamedTensors): OptimizerState {
  const tensors = (slot: string, paths: readonly string[]) =>
    Object.fromEntries(paths.map((path) => [path, tf.clone(restored[slotKey(slot, path)]!)]));
  return Object.fromEntries(
    Object.entries(saved).map(([slot, paths]) => [slot, tensors(slot, paths)]),
  );
}

function under(tensors: NamedTensors, prefix: string): NamedTensors {
  const mine = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(mine.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** The values for `paths`; only where a network may be another one, some may be missing. */
function chosen(paths: readonly string[], values: NamedTensors, allowMismatch: readonly string[]) {
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
  });
}
