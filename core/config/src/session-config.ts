import { relative, resolve } from 'node:path';
import { EspalierError, loadExport } from '@espalier/core';
import type { CheckpointStore, Preset, SessionConfig, Source } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import { makeLoss, makeOptimizer } from './components.js';
import type { Reference, SourceConfig } from './config.js';
import { isCode } from './load-config.js';
import type { LoadedConfig } from './load-config.js';

/** A part of a configuration's data. */
export type Split = 'train' | 'validation' | 'test';

/**
 * Makes the configuration of a session: loads the model, the data, the loss, the optimizer and the plugins.
 *
 * @throws EspalierError `config/source`, `config/unknown-name`, `preset/…` of modules that cannot be loaded.
 * @example
 * const session = await createSession(await makeSessionConfig(await loadConfig('espalier.config.ts')));
 */
export async function makeSessionConfig(loaded: LoadedConfig): Promise<SessionConfig> {
  const { settings, written, modules, overrides } = loaded;
  const { semantics, seed, accumulate, validateEvery, backend, log } = settings;
  const [train, validation] = [
    await openSource(loaded, 'train'),
    await openSource(loaded, 'validation'),
  ];
  return {
    model: await makeModel(loaded),
    loss: isCode(written.loss)
      ? (written.loss as SessionConfig['loss'])
      : await makeLoss(settings.loss, modules),
    optimizer: isCode(written.optimizer)
      ? (written.optimizer as SessionConfig['optimizer'])
      : await makeOptimizer(settings.optimizer, modules),
    preset: makePreset(loaded),
    overrides,
    load: modules.load,
    ...(train && { train }),
    ...(validation && { validation }),
    ...(semantics && { semantics }),
    seed,
    accumulate,
    validateEvery,
    logInterval: log.interval,
    checkpoint: checkpointSettings(loaded),
    ...(settings.checkpoint && { folder: resolve(loaded.folder, settings.checkpoint.dir) }),
    resolvePath: (path) => resolve(loaded.folder, path),
    backend,
  };
}

/**
 * Opens the source of a split.
 *
 * @returns `undefined` where the configuration has no such split.
 * @throws EspalierError `config/source`, `preset/…`.
 */
export async function openSource(
  { written, settings, modules: { load } }: LoadedConfig,
  split: Split,
): Promise<Source | undefined> {
  const given: SourceConfig | undefined = written.data?.[split];
  if (given === undefined) return undefined;
  const { use, options } = settings.data[split] as Reference;
  const found = isCode(given) ? given : await loadExport(use, { load });
  const { batchSize } = settings;
  const made: unknown =
    typeof found === 'function'
      ? await (found as (o: unknown) => unknown)({ ...(batchSize && { batchSize }), ...options })
      : found;
  if (typeof (made as Source | undefined)?.iterate === 'function') return made as Source;
  throw new EspalierError('config/source', {
    problem: `data.${split} is not a source, nor a function that returns one`,
    received: made,
    fix: 'Return arraySource({ x, y, batchSize }) or another source.',
  });
}

/**
 * Opens the store of checkpoints of a configuration.
 *
 * @param dir Another folder, in place of `checkpoint.dir`.
 * @throws EspalierError `config/no-checkpoint`.
 */
export function openStore({ folder, settings }: LoadedConfig, dir?: string): CheckpointStore {
  const path = dir ?? (settings.checkpoint && resolve(folder, settings.checkpoint.dir));
  const { takeOver } = settings.checkpoint ?? {};
  if (path !== undefined) return fileStore(path, { takeOver });
  throw new EspalierError('config/no-checkpoint', {
    problem: 'the configuration names no folder for checkpoints',
    fix: "Add checkpoint: { dir: 'runs/a' }.",
  });
}

async function makeModel({ written, settings, modules: { load } }: LoadedConfig) {
  if (isCode(written.model)) return written.model as SessionConfig['model'];
  const { use, options } = settings.model;
  const make = await loadExport(use, { load });
  if (typeof make !== 'function') return make as SessionConfig['model'];
  return () =>
    (make as (o: unknown) => ReturnType<SessionConfig['model'] & (() => never)>)(options);
}

/** The configuration's plugins, as a preset over the one that it names. */
function makePreset({ file, folder, written }: LoadedConfig): Preset {
  return {
    name: relative(folder, file),
    ...(written.preset !== undefined && { extends: written.preset }),
    plugins: written.plugins ?? {},
  };
}

function checkpointSettings(loaded: LoadedConfig): SessionConfig['checkpoint'] {
  const { checkpoint } = loaded.settings;
  if (!checkpoint) return undefined;
  const { everySteps, everyEpochs, keep } = checkpoint;
  return { everySteps, everyEpochs, keep, store: openStore(loaded) };
}
