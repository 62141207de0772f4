import { basename, dirname, extname, resolve } from 'node:path';
import { buildConfig, Modules, readObject } from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import { EspalierError, parseOptions } from '@espalier/core';
import { TRAINING } from '../store/read-metric.js';
import { checkContrasts, listContrasts, listSmallestEffects } from './contrasts.js';
import type { ContrastFamily } from './contrasts.js';
import { findCode, MOST_LEVELS } from './find-code.js';
import { listLevels } from './levels.js';
import type { Level } from './levels.js';
import { study as schema } from './schema.js';
import type { CheckedStudy } from './schema.js';

/** A metric that a study reports. */
export interface ReportedMetric {
  readonly name: string;
  readonly direction: 'max' | 'min';
}

/** A study that was read and validated. */
export interface LoadedStudy {
  readonly file: string;
  readonly name: string;
  /** Folder of the results. */
  readonly dir: string;
  readonly settings: CheckedStudy;
  readonly seeds: readonly number[];
  /** Of tuning trials; none without `tune`. */
  readonly tuningSeeds: readonly number[];
  /** The base: every reference is data, so that it can be hashed and sent to other processes. */
  readonly base: LoadedConfig;
  readonly levels: readonly Level[];
  /** The primary one first. */
  readonly metrics: readonly ReportedMetric[];
  /** Families of comparisons; empty: each row minus the base. */
  readonly contrasts: readonly ContrastFamily[];
  /** By metric. */
  readonly smallestEffects: Readonly<Record<string, number>>;
}

/**
 * Reads a study in TypeScript, JavaScript or JSON.
 *
 * @throws EspalierError `study/inline`, `study/too-deep`, `study/no-validation`, `study/epochs`, `study/tuning-seed`, `study/contrast`, `config/…`,
 * `options/invalid`.
 * @example
 * const study = await loadStudy('study.ts');
 */
export async function loadStudy(path: string): Promise<LoadedStudy> {
  const file = resolve(path);
  return buildStudy(await readObject(file, new Modules(file)), file);
}

/**
 * Validates a study that is an object already.
 *
 * @param file Names it in errors; what its relative paths are relative to.
 * @throws EspalierError as `loadStudy`.
 */
export async function buildStudy(written: unknown, file: string): Promise<LoadedStudy> {
  refuseInline(written, basename(file));
  const settings = parseOptions(basename(file), schema, written);
  refuseTrainingPrimary(settings);
  const name = settings.name ?? basename(file, extname(file));
  const base = await loadBase(settings, file);
  checkBase(base);
  const loaded: LoadedStudy = {
    file,
    name,
    dir: resolve(dirname(file), settings.dir ?? `runs/${name}`),
    settings,
    seeds: listSeeds(settings),
    tuningSeeds: listTuningSeeds(settings),
    base,
    levels: listLevels(settings, basename(file)),
    metrics: listMetrics(settings),
    contrasts: listContrasts(settings),
    smallestEffects: listSmallestEffects(settings),
  };
  checkContrasts(loaded);
  return loaded;
}

async function loadBase({ base }: CheckedStudy, file: string): Promise<LoadedConfig> {
  if (typeof base !== 'string') return buildConfig(base, { file });
  const config = resolve(dirname(file), base);
  const modules = new Modules(config);
  const written = await readObject(config, modules);
  refuseInline(written, basename(config));
  return buildConfig(written, { file: config, modules });
}

/** What a function does cannot be hashed: a trial made with another one would pass for the same. */
function refuseInline(written: unknown, label: string): void {
  const found = findCode(written);
  if (!found) return;
  const { path, value, tooDeep } = found;
  if (tooDeep) throw refuseDeep(`${label}: '${path.slice(0, 60)}…'`);
  const isCode = typeof value === 'function' || typeof value === 'object';
  throw new EspalierError('study/inline', {
    problem: `${label}: '${path}' holds ${isCode ? 'code' : String(value)}, which can neither be hashed nor sent to another process`,
    fix: isCode
      ? `Export it from a module and name it, as in ${path}: './parts.ts#make'; options go beside it: { use: './parts.ts#make', options: { … } }.`
      : 'Use what JSON can hold.',
  });
}

function refuseDeep(what: string): EspalierError {
  return new EspalierError('study/too-deep', {
    problem: `${what} has more than ${MOST_LEVELS} levels, or contains itself`,
    fix: 'Write it with fewer levels.',
  });
}

function checkBase({ settings: { data, epochs, stages }, file }: LoadedConfig): void {
  const label = basename(file);
  const missing = (['train', 'validation'] as const).find((split) => data[split] === undefined);
  if (missing) {
    throw new EspalierError('study/no-validation', {
      problem: `${label} has no data.${missing}`,
      fix: 'A study trains on one split and compares on another. The test split is for the final report.',
    });
  }
  if (epochs !== undefined || stages) return;
  throw new EspalierError('study/epochs', {
    problem: `${label} has neither epochs nor stages`,
    fix: "Add epochs: 10 to the base, or stages: [{ epochs: 10 }, { transform: ['quantizer'] }].",
  });
}

/** Rows are compared on data that they were not trained on. */
function refuseTrainingPrimary({ primary: { name } }: CheckedStudy): void {
  if (!name.startsWith(TRAINING)) return;
  throw new EspalierError('study/metric', {
    problem: `primary '${name}' is a metric of training`,
    fix: 'Compare rows by a metric of the validation data; training metrics belong in metrics.',
  });
}

function listSeeds({ seeds }: CheckedStudy): readonly number[] {
  return typeof seeds === 'number' ? Array.from({ length: seeds }, (_, i) => i + 1) : seeds;
}

/** None of the study's, so that no row is chosen on what it is judged by. */
function listTuningSeeds(settings: CheckedStudy): readonly number[] {
  const given = settings.tune?.seeds ?? [];
  const seeds = listSeeds(settings);
  if (typeof given === 'number') {
    return Array.from({ length: given }, (_, i) => Math.max(...seeds) + 1 + i);
  }
  const shared = given.find((seed) => seeds.includes(seed));
  if (shared === undefined) return given;
  throw new EspalierError('study/tuning-seed', {
    problem: `tune.seeds has ${shared}, which is a seed of the study`,
    fix: 'Choose another seed: a row must not be compared on the runs that chose its settings.',
  });
}

function listMetrics({ primary, metrics }: CheckedStudy): readonly ReportedMetric[] {
  const others = metrics.filter(({ name }) => name !== primary.name);
  return [primary, ...others].map(({ name, direction }) => ({
    name,
    direction: direction ?? (/(loss|error|perplexity)$/i.test(name) ? 'min' : 'max'),
  }));
}
