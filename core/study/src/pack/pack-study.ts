import { constants } from 'node:buffer';
import { gunzipSync, gzipSync } from 'node:zlib';
import { EspalierError, readJson, writeJson } from '@espalier/core';
import type { Environment } from '../plan/environment.js';
import type { StudyPlan } from '../plan/study-plan.js';
import { checkRecord } from '../store/check-record.js';
import type { StudyRecords, TestReading, TestRecord, TrialRecord } from '../store/records.js';
import { packHistory, unpackHistory } from './pack-history.js';

const FORMAT = 'espalier-study';
const VERSION = 1;

/** What a line of a packed study holds, one of them. */
interface Line {
  readonly plan?: StudyPlan;
  readonly environment?: readonly [id: string, environment: Environment];
  readonly trial?: TrialRecord;
  readonly test?: TestRecord;
  readonly reading?: TestReading;
}

const KINDS = ['plan', 'environment', 'trial', 'test', 'reading'] as const;

/**
 * What is known of a study as one compressed file: gzip of a line of JSON for its plan, each place where trials
 * ran, each trial that has ended, each evaluation and each reading of the test data. The same records give the
 * same bytes. Epochs before the last have six significant digits in it; all else is exact.
 *
 * @throws EspalierError `study/no-plan` for a study that has never run.
 * @example
 * writeFileSync('my.study.gz', packStudy(StudyStore.read(study.dir)!));
 */
export function packStudy(records: StudyRecords): Uint8Array {
  const plan = records.plan();
  if (!plan) throw noPlan();
  const lines: Line[] = [
    { plan },
    ...[...records.environments()].map((environment) => ({ environment })),
    ...sortById(records.trials()).map((trial) => ({ trial: packHistory(trial) })),
    ...sortById(records.tests()).map((test) => ({ test })),
    ...records.readings().map((reading) => ({ reading })),
  ];
  const head = { format: FORMAT, version: VERSION, lines: lines.length };
  const text = [head, ...lines].map((line) => `${writeJson(line, 'packed')}\n`).join('');
  const bytes = gzipSync(text, { level: 9 });
  bytes[9] = 255; // which system compressed it does not matter
  return bytes;
}

const sortById = <T extends { readonly id: string }>(each: readonly T[]): T[] =>
  [...each].sort((a, b) => (a.id < b.id ? -1 : 1));

/**
 * Reads a packed study.
 *
 * @param name Of the file, for errors.
 * @throws EspalierError `study/packed` for a file that is damaged, cut short, no packed study or of a later release.
 * @example
 * const findings = analysePlan(records.plan()!, records);
 */
export function openPacked(bytes: Uint8Array, name: string): StudyRecords {
  const lines = readLines(bytes, name);
  const pick = <K extends keyof Line>(kind: K) =>
    lines.flatMap((line) => (line[kind] === undefined ? [] : [line[kind]]));
  const [plan] = pick('plan');
  const trials = pick('trial');
  const byId = new Map(trials.map((trial) => [trial.id, trial]));
  const [tests, readings] = [pick('test'), pick('reading')];
  const environments = new Map(pick('environment'));
  return {
    plan: () => plan,
    trial: (id) => byId.get(id),
    trials: () => trials,
    tests: () => tests,
    readings: () => readings,
    environments: () => environments,
  };
}

const ADVICE = 'Give a file that espalier study pack wrote.';
const RESTORE = 'Get the file again from where it was kept.';

function readLines(bytes: Uint8Array, name: string): readonly Line[] {
  const [head, ...lines] = parseLines(decompress(bytes, name), name);
  const { format, version, lines: count } = (head ?? {}) as Record<string, unknown>;
  if (format !== FORMAT) throw refuse(`${name} is no packed study`, ADVICE);
  if (version !== VERSION) {
    throw refuse(
      `${name} was packed by a later release: its version is ${String(version)}, this release reads ${VERSION}`,
      'Update @espalier/study.',
    );
  }
  const known = lines.every((line) => KINDS.some((kind) => kind in line));
  if (!known || lines.length !== count || !('plan' in (lines[0] ?? {}))) {
    throw refuse(`${name} is not what was packed: lines are missing or changed`, RESTORE);
  }
  return lines.map((line, i) => {
    try {
      return checkLine(line);
    } catch (error) {
      const where = `${name} is not what was packed: line ${i + 2}`;
      throw refuse(`${where}, ${(error as Error).message}`, RESTORE);
    }
  });
}

/** @throws Error for a line that holds what it should not. */
function checkLine(line: Line): Line {
  const { plan, environment, trial, test, reading } = line;
  if (environment !== undefined) checkEnvironment(environment);
  return {
    ...(plan !== undefined && { plan: checkRecord('plan', plan) }),
    ...(environment !== undefined && { environment }),
    ...(trial !== undefined && { trial: checkRecord('trial', unpackHistory(trial)) }),
    ...(test !== undefined && { test: checkRecord('test', test) }),
    ...(reading !== undefined && { reading: checkRecord('reading', reading) }),
  };
}

function checkEnvironment(pair: unknown): void {
  if (!Array.isArray(pair) || typeof pair[0] !== 'string') throw new Error('environment: no pair');
  checkRecord('environment', pair[1]);
}

function decompress(bytes: Uint8Array, name: string): string {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) throw refuse(`${name} is no packed study`, ADVICE);
  try {
    return gunzipSync(bytes, { maxOutputLength: constants.MAX_STRING_LENGTH }).toString('utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw refuse(`${name} unpacks to more than a study can be`, ADVICE);
    }
    throw refuse(`${name} is damaged or cut short: ${(cause as Error).message}`, RESTORE);
  }
}

function parseLines(text: string, name: string): readonly object[] {
  const values = text
    .split('\n')
    .slice(0, -1)
    .map((line) => tryParse(line));
  if (values.every((value) => typeof value === 'object' && value !== null)) return values;
  throw refuse(`${name} is no packed study`, ADVICE);
}

function tryParse(line: string): unknown {
  try {
    return readJson(line);
  } catch {
    return undefined;
  }
}

function refuse(problem: string, fix: string): EspalierError {
  return new EspalierError('study/packed', { problem, fix });
}

function noPlan(): EspalierError {
  return new EspalierError('study/no-plan', {
    problem: 'the study has never run: there is no plan to pack',
    fix: 'Run it first: espalier study run.',
  });
}
