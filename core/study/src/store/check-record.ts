import { readJson } from '@espalier/core';
import type { z } from 'zod';
import type { Environment } from '../plan/environment.js';
import type { StudyPlan } from '../plan/study-plan.js';
import type { TrialEnd, TrialProgress } from '../run/job.js';
import { plan } from './plan-schema.js';
import * as schemas from './record-schemas.js';
import type { TestReading, TestRecord, TrialRecord, TrialResult } from './records.js';

/** The history of a packed trial, names once; null where an epoch does not have the metric. */
export interface HistoryColumns {
  readonly epochs: readonly number[];
  readonly columns: Readonly<Record<string, readonly (number | null)[]>>;
}

/** What is read back from files and messages, by kind. */
export interface Records {
  readonly plan: StudyPlan;
  readonly environment: Environment;
  readonly trial: TrialRecord;
  readonly test: TestRecord;
  readonly reading: TestReading;
  readonly result: TrialResult;
  readonly end: TrialEnd;
  readonly progress: TrialProgress;
  readonly history: HistoryColumns;
}

const { trial, test, reading, environment, result, end, progress, history } = schemas;
const SCHEMAS: Readonly<Record<keyof Records, z.ZodType>> = {
  ...{ plan, trial, test, reading, environment, result, end, progress, history },
};

/**
 * The value itself, if it is of this kind.
 *
 * @throws Error that names the first field that is wrong.
 */
export function checkRecord<K extends keyof Records>(kind: K, value: unknown): Records[K] {
  const [issue] = SCHEMAS[kind].safeParse(value).error?.issues ?? [];
  if (!issue) return value as Records[K];
  const field = [kind, ...issue.path].join('.');
  throw new Error(`${field}: ${issue.message.replace(/^Invalid input: /, '')}`);
}

/** @throws Error for text that is no JSON, or JSON of another kind. */
export const parseRecord = <K extends keyof Records>(kind: K, json: string): Records[K] =>
  checkRecord(kind, readJson(json));
