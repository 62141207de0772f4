import { attribute, copyJson, EspalierError } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import { readTensors } from '@espalier/checkpoint';
import type { Checkpoint } from '@espalier/checkpoint';
import type { Source } from '@espalier/data';
import { extractGraph } from '@espalier/model';
import { version_core as tfjsVersion } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { OptimizerPart } from '../loop/optimizer-part.js';
import type { SavedState } from '../plugins/plugin.js';
import type { Run } from '../run.js';
import { refuseInexact } from './refuse-inexact.js';
import type { RunManifest } from './run-manifest.js';
import { checkState } from './saved-state.js';

/** The state at one moment: training may go on while the device is read. */
export async function takeSnapshot(run: Run): Promise<Checkpoint> {
  const data = await readFingerprints(run);
  refuseInexact(run);
  const saved = new Map(
    [...run.states].map(([id, contract]) => [id, callPlugin(id, 'save', () => contract.save())]),
  );
  const manifest = copyJson(makeManifest(run, data, saved), 'manifest');
  const tensors = nameTensors(run, saved);
  refuseDisposed(tensors);
  return { manifest, tensors: await readTensors(tensors) };
}

/** Each plugin's own were live when it gave them: what follows may have disposed them. */
function refuseDisposed(tensors: NamedTensors): void {
  const name = Object.keys(tensors).find((each) => tensors[each]!.isDisposed);
  if (name === undefined) return;
  throw new EspalierError('checkpoint/disposed', {
    problem: `'${name}' was disposed while the run's state was gathered, and nothing was saved`,
    fix: "A plugin's save may dispose no tensor of another plugin, of the model or of the optimizer.",
  });
}

/** Fingerprints of the data; null where there are none. */
interface Fingerprints {
  readonly train: string | null;
  readonly validation: string | null;
}

/** That of the validation data once: nothing that a checkpoint holds is computed from them. */
export async function readFingerprints({ settings }: Run): Promise<Fingerprints> {
  const { train, validation } = settings;
  return {
    train: (await train?.fingerprint()) ?? null,
    validation: validation ? await readOnce(validation) : null,
  };
}

const fingerprints = new WeakMap<Source, string>();

async function readOnce(source: Source): Promise<string> {
  const found = fingerprints.get(source) ?? (await source.fingerprint());
  fingerprints.set(source, found);
  return found;
}

/** A plugin's part of saving and loading, its errors named after it. */
export function callPlugin<T>(plugin: string, hook: 'save' | 'load' | 'migrate', call: () => T): T {
  try {
    const result = call();
    if (hook !== 'load') checkState(hook, result);
    return result;
  } catch (error) {
    throw attribute(error, { plugin, hook });
  }
}

function makeManifest(
  run: Run,
  data: Fingerprints,
  saved: ReadonlyMap<string, SavedState>,
): RunManifest {
  const { optimizer, preset, settings, structure } = run;
  const { backend } = settings;
  const states = [...saved].map(([id, { json }]) => {
    const { version } = run.states.get(id)!;
    return [id, { version, ...(json !== undefined && { json }) }];
  });
  return {
    seed: settings.seed,
    clock: { ...run.clock },
    epoch: run.epoch.data,
    history: run.history,
    stopReason: run.stopReason ?? null,
    stages: run.progress,
    transformed: [...run.transformed],
    preset: preset.manifest,
    backend: { name: backend.backend, simd: backend.simd, threads: backend.threads },
    versions: { tfjs: tfjsVersion },
    data: data.train,
    training: {
      semantics: settings.semantics,
      losses: Object.fromEntries(
        Object.entries(settings.losses).map(([name, loss]) => [name, loss.name]),
      ),
      optimizer: describeOptimizer(run),
      accumulate: settings.accumulate,
      batchesPerEpoch: settings.train?.batchesPerEpoch ?? null,
    },
    settings: {
      optimizer: describeSettings(run),
      source: settings.train?.settings ?? {},
      validation: data.validation,
    },
    topology: describeTopology(run),
    trainable: structure.trainingFlags,
    edits: structure.edits,
    slots: Object.fromEntries(
      Object.entries(optimizer.state).map(([slot, tensors]) => [slot, Object.keys(tensors)]),
    ),
    ...(optimizer.claims.length > 0 && { ownSteps: optimizer.ownSteps }),
    states: Object.fromEntries(states),
  };
}

function describeOptimizer({ optimizer }: Run) {
  const [{ name }, ...others] = optimizer.parts as [OptimizerPart, ...OptimizerPart[]];
  const own = Object.fromEntries(others.map((part) => [part.claim!.plugin, part.name]));
  const slots = Object.keys(optimizer.state);
  return { name, slots, ...(others.length > 0 && { own }) };
}

/** Settings of plugins' own optimizers are options of the plugins. */
function describeSettings({ optimizer }: Run): Readonly<Record<string, unknown>> {
  const given = optimizer.parts.filter((part) => !part.claim || part.given !== undefined);
  const entries = given.flatMap(({ name, transform }) =>
    Object.entries(transform.settings ?? {}).map(([key, value]) => [`${name}.${key}`, value]),
  );
  return Object.fromEntries(entries) as Readonly<Record<string, unknown>>;
}

/** @throws EspalierError `checkpoint/optimizer` for an optimizer that keeps other state than slots. */
export function refuseUnresumable({ optimizer }: Run): void {
  const found = optimizer.parts.find(({ transform }) => transform.resumable === false);
  if (!found) return;
  const { name } = found;
  throw new EspalierError('checkpoint/optimizer', {
    problem: `the optimizer '${name}' keeps state that no checkpoint can hold`,
    fix: 'Use one of the framework in place of fromTfOptimizer (tfjs.adam() and its like are tf.train.* to the bit; tfjs.convert(optimizer) makes one), or train without checkpoints.',
  });
}

/** Null for models with layers that are not registered: they train, but cannot be described. */
function describeTopology({ structure }: Run): unknown {
  try {
    return extractGraph(structure.layersModel).topology;
  } catch {
    return null;
  }
}

function nameTensors(run: Run, saved: ReadonlyMap<string, SavedState>): NamedTensors {
  const { optimizer, structure } = run;
  const named: [string, Tensor][] = Object.entries(structure.parameters.values()).map(
    ([path, value]) => [PARAMETERS + path, value],
  );
  for (const [slot, tensors] of Object.entries(optimizer.state)) {
    for (const [path, tensor] of Object.entries(tensors)) named.push([slotKey(slot, path), tensor]);
  }
  for (const [id, { tensors = {} }] of saved) {
    for (const [name, tensor] of Object.entries(tensors))
      named.push([`states/${id}/${name}`, tensor]);
  }
  return Object.fromEntries(named);
}

/** The beginning of names of parameters in a checkpoint. */
export const PARAMETERS = 'parameters/';

/** The name of a tensor of the optimizer's state in a checkpoint. */
export function slotKey(slot: string, path: string): string {
  return `slots/${slot}/${path}`;
}
