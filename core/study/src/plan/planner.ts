import { createRequire } from 'node:module';
import {
  buildConfig,
  countEpochs,
  makeSessionConfig,
  openSource,
  listStages,
} from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import {
  canonicalJson,
  createSession,
  diffManifests,
  EspalierError,
  printValue,
  resolvePreset,
  suggest,
} from '@espalier/core';
import type { Inspection, Manifest } from '@espalier/core';
import type { LoadedStudy } from '../definition/load-study.js';
import { designRows } from '../definition/rows.js';
import type { RowDesign } from '../definition/rows.js';
import { CodeFingerprints } from './code-fingerprint.js';
import { hashJson } from './hash-json.js';
import type {
  DataFingerprints,
  PlannedBackend,
  PlannedRow,
  PlannedTrial,
  Sample,
} from './planned-row.js';
import { drawSample, refuseEqualSamples } from './resample.js';
import { plainSets, swapSets } from './row-sets.js';

const { version: tfjs } = createRequire(import.meta.url)('@tensorflow/tfjs-core/package.json') as {
  version: string;
};

/** Part of each trial's id. Change it when the same settings make another run. */
const FORMAT = 1;

/**
 * Resolves the rows of a study: plugins, options, data, code. It trains nothing.
 *
 * @example
 * const planner = await Planner.create(await loadStudy('study.ts'));
 * for await (const { name, diff } of planner.rows()) console.log(name, diff);
 */
export class Planner {
  readonly #code: CodeFingerprints;
  readonly #fingerprints = new Map<string, Promise<string>>();
  readonly #components = new Map<string, Promise<unknown>>();
  #base: PlannedRow | undefined;
  /** Of what trials depend on beside the packages that their code names. */
  readonly versions = { tfjs, node: process.versions.node.split('.')[0]! };

  private constructor(
    readonly study: LoadedStudy,
    readonly backend: PlannedBackend,
    private readonly services: Inspection['services'],
  ) {
    this.#code = new CodeFingerprints(study.base.modules, study.base.folder);
  }

  /**
   * Sets the base up once: what is wrong with it is found before anything runs.
   *
   * @throws EspalierError of whatever the base gets wrong.
   */
  static async create(study: LoadedStudy): Promise<Planner> {
    const base = drawSample(study, study.base, study.seeds[0]!).config;
    const threads = base.settings.backend.threads ?? 1;
    const session = await createSession({
      ...(await makeSessionConfig(base)),
      checkpoint: undefined,
      folder: undefined,
      backend: { ...base.settings.backend, threads },
    });
    try {
      const { name, package: from, version, simd, threads: taken, device, line } = session.backend;
      const backend = {
        name,
        package: from,
        version,
        simd,
        threads: taken,
        device: device ?? null,
      };
      return new Planner(study, { ...backend, line }, session.inspect().services);
    } finally {
      await session.dispose();
      session.backend.dispose();
    }
  }

  /**
   * The rows, the base first, one after the other.
   *
   * @throws EspalierError `study/duplicate` for two rows that are the same run; what a row gets wrong.
   */
  async *rows(): AsyncGenerator<PlannedRow> {
    const seen = new Map<string, string>();
    for (const design of designRows(this.study)) {
      const row = await this.#plan(design);
      const same = seen.get(row.hash);
      if (same !== undefined) throw duplicate(row.name, same);
      seen.set(row.hash, row.name);
      yield row;
    }
  }

  /** A row with further settings, under a name of its own if it is another row. */
  async applyLevels(
    row: PlannedRow,
    sets: readonly string[],
    as: Partial<Pick<PlannedRow, 'name' | 'kind'>> = {},
  ): Promise<PlannedRow> {
    const name = as.name ?? row.name;
    return this.#resolve({ name, kind: as.kind ?? row.kind, sets: [...row.sets, ...sets] });
  }

  /** Files of modules: path in the base's folder or in a package → hash of the content; installed packages. */
  files(modules: readonly string[]): Readonly<Record<string, string>> {
    return this.#code.files(modules);
  }

  /** Where a token may be bound: at the plugin that provides it, or wherever the preset binds it. */
  #tokens(manifest: Manifest): Record<string, string> {
    const provided = Object.entries(this.services).filter(([, owner]) => owner in manifest.plugins);
    const bound = Object.entries(manifest.plugins).flatMap(([id, { bind }]) =>
      Object.keys(bind).map((token) => [token, id]),
    );
    return Object.fromEntries([...provided, ...bound]) as Record<string, string>;
  }

  async #plan({ name, levels }: RowDesign): Promise<PlannedRow> {
    const kind = levels.length === 0 ? 'base' : 'row';
    const sets = plainSets(name, levels, this.study.settings.resample);
    const { manifest } = await this.#manifest(name, sets);
    const tokens = () => Promise.resolve(this.#tokens(manifest));
    const swaps = await swapSets(name, levels, { manifest, tokens });
    const row = await this.#resolve({ name, kind, sets: [...sets, ...swaps] });
    if (kind === 'base') this.#base = row;
    return row;
  }

  async #manifest(name: string, sets: readonly string[]) {
    const { written, file, modules } = this.study.base;
    try {
      const config = buildConfig(written, { file, modules, sets });
      const { manifest } = await resolvePreset(
        {
          ...(config.written.preset !== undefined && { extends: config.written.preset }),
          plugins: config.written.plugins ?? {},
        },
        { overrides: config.overrides, load: modules.load },
      );
      refuseUnnamed(manifest);
      refuseUnknownInStages(config, manifest);
      await this.#tryComponents(config);
      return { config, manifest };
    } catch (error) {
      throw inRow(name, error);
    }
  }

  /** Makes loss and optimizer, which are what refuses a wrong option of theirs. */
  #tryComponents(config: LoadedConfig): Promise<unknown> {
    const { model, loss, optimizer } = config.settings;
    const key = canonicalJson([model.use, loss, optimizer]);
    const known = this.#components.get(key) ?? makeSessionConfig(withoutData(config));
    this.#components.set(key, known);
    return known;
  }

  async #resolve(given: Pick<PlannedRow, 'name' | 'kind' | 'sets'>): Promise<PlannedRow> {
    const { config, manifest } = await this.#manifest(given.name, given.sets);
    const { batchSize = null, accumulate = 1 } = config.settings;
    const epochs = countEpochs(listStages(config));
    const samples = await this.#samples(config, given);
    const base = this.#base;
    const row = {
      ...given,
      config,
      manifest,
      budget: { epochs, batchSize, accumulate },
      data: samples?.values().next().value?.data ?? (await this.#split(config)),
      ...(samples && { samples }),
      diff: base ? listDifferences(base, { config, manifest }) : [],
      modules: listSpecifiers(config, manifest),
    };
    return { ...row, hash: this.#hash(row) };
  }

  /** What each seed trains on; each sample is hashed once for all rows that have it. */
  async #samples(
    row: LoadedConfig,
    { name, sets }: Pick<PlannedRow, 'name' | 'sets'>,
  ): Promise<ReadonlyMap<number, Sample> | undefined> {
    const { study } = this;
    if (study.settings.resample === undefined) return undefined;
    const samples = new Map<number, Sample>();
    for (const seed of [...study.seeds, ...study.tuningSeeds]) {
      const { config, sets: own } = drawSample(study, row, seed, sets);
      samples.set(seed, { sets: own, data: await this.#split(config) });
    }
    refuseEqualSamples(name, study.settings.resample, samples);
    return samples;
  }

  async #split(config: LoadedConfig): Promise<DataFingerprints> {
    const train = await this.#data(config, 'train');
    return { train, validation: await this.#data(config, 'validation') };
  }

  #data(config: LoadedConfig, split: 'train' | 'validation'): Promise<string> {
    const { data, batchSize } = config.settings;
    const key = canonicalJson({ data: data[split], batchSize });
    const known =
      this.#fingerprints.get(key) ??
      openSource(config, split).then((found) => found!.fingerprint());
    this.#fingerprints.set(key, known);
    return known;
  }

  /** Where each seed draws its sample, that is part of the trial's id, not of the row's hash. */
  #hash({ config, manifest, data, samples, modules }: Omit<PlannedRow, 'hash'>): string {
    const { resample } = this.study.settings;
    const { name, package: from, version, simd, threads, device } = this.backend;
    const content = {
      format: FORMAT,
      training: withoutDraw(listTrainingSettings(config), resample),
      manifest: manifest.hash,
      data: samples ? { validation: data.validation, resample } : data,
      code: this.#code.fingerprints(modules),
      backend: { name, package: from, version, simd, threads, device },
      versions: this.versions,
    };
    return hashJson(content);
  }
}

/** The trials of a row, one for each seed. */
export function listTrials(
  { name, hash, sets, data, samples }: PlannedRow,
  seeds: readonly number[],
): readonly PlannedTrial[] {
  return seeds.map((seed) => {
    const sample = samples?.get(seed);
    const id = hashJson(sample ? [hash, seed, sample.data.train] : [hash, seed]).slice(0, 32);
    const own = sample ? [...sets, ...sample.sets] : sets;
    return { id, row: name, seed, sets: own, data: sample?.data ?? data };
  });
}

/** A configuration's settings that its manifest of plugins does not tell. */
function listTrainingSettings(config: LoadedConfig) {
  const { settings } = config;
  const { model, batchSize, loss, optimizer, accumulate = 1, semantics, validateEvery } = settings;
  const { train, validation } = settings.data;
  const data = { train, validation };
  const steps = { batchSize, accumulate, semantics, validateEvery };
  const [first, ...more] = listStages(config);
  const epochs = more.length === 0 && 'epochs' in first! ? first.epochs : undefined;
  const stages = epochs === undefined ? [first, ...more] : undefined;
  return { model, data, loss, optimizer, epochs, stages, ...steps };
}

function withoutDraw(
  training: ReturnType<typeof listTrainingSettings>,
  resample: string | undefined,
) {
  if (resample === undefined) return training;
  const { train, ...rest } = training.data;
  const options = { ...train!.options, [resample.split('.')[3]!]: undefined };
  return { ...training, data: { ...rest, train: { use: train!.use, options } } };
}

/** The modules that a configuration names, core among them. */
function listSpecifiers(config: LoadedConfig, { plugins }: Manifest): readonly string[] {
  const { model, loss, optimizer, data } = config.settings;
  const named = [model, loss, optimizer, data.train!, data.validation!].map(({ use }) => use);
  const components = Object.values(plugins).flatMap(({ use, bind }) => [
    use,
    ...Object.values(bind).map((each) => (each as { use: string }).use),
  ]);
  const modules = [...named, ...components]
    .filter((use) => /[#/.]/.test(use))
    .map((use) => use.split('#', 1)[0]!);
  return [...new Set(['@espalier/core', ...modules])].sort();
}

function listDifferences(
  base: Pick<PlannedRow, 'config' | 'manifest'>,
  row: Pick<PlannedRow, 'config' | 'manifest'>,
): readonly string[] {
  const [was, is] = [base, row].map(({ config }) => listFields(listTrainingSettings(config)));
  const fields = [...new Set([...Object.keys(was!), ...Object.keys(is!)])].sort();
  const changed = fields.filter((field) => was![field] !== is![field]);
  return [
    ...changed.map(
      (field) => `${field} was ${was![field] ?? 'absent'}, is ${is![field] ?? 'absent'}`,
    ),
    ...diffManifests(base.manifest, row.manifest).map(({ text }) => text),
  ];
}

/** Dotted path → every value that is no object, in words. */
function listFields(value: unknown, path = ''): Record<string, string> {
  if (typeof value !== 'object' || value === null) {
    return value === undefined ? {} : { [path]: printValue(value) };
  }
  const inner = Object.entries(value).map(([key, each]) =>
    listFields(each, path === '' ? key : `${path}.${key}`),
  );
  return Object.assign({}, ...inner) as Record<string, string>;
}

function inRow(name: string, error: unknown): unknown {
  if (!(error instanceof EspalierError)) return error;
  const { code, parts, place } = error;
  return new EspalierError(code, { ...parts, problem: `row '${name}': ${parts.problem}` }, place);
}

function withoutData(config: LoadedConfig): LoadedConfig {
  return { ...config, written: { ...config.written, data: {} } };
}

/** A preset may hand over what only code can name: a plugin's factory, a function as an option. */
function refuseUnnamed({ inline: [field] }: Manifest): void {
  if (field === undefined) return;
  throw new EspalierError('study/inline', {
    problem: `the preset's ${field} is code, which cannot be hashed`,
    fix:
      "Name plugins and components: { use: './parts.ts#scaler' }, or let definePlugin say exportedAs; " +
      'give options as data.',
  });
}

/** A trial would refuse it too, but later. */
function refuseUnknownInStages(config: LoadedConfig, { plugins }: Manifest): void {
  const named = listStages(config).flatMap((stage) =>
    'transform' in stage && stage.transform !== true ? stage.transform : [],
  );
  const unknown = named.find((id) => !Object.hasOwn(plugins, id));
  if (unknown === undefined) return;
  throw new EspalierError('study/unknown', {
    problem: `its stages name the plugin '${unknown}', which it does not have`,
    fix: suggest(unknown, Object.keys(plugins)),
  });
}

function duplicate(row: string, same: string): EspalierError {
  return new EspalierError('study/duplicate', {
    problem: `rows '${row}' and '${same}' are the same run`,
    fix: 'Remove one of them, or check their changes.',
  });
}
