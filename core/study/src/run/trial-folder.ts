import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '@espalier/base/node';
import { fileError, writeJson } from '@espalier/core';
import { parseRecord } from '../store/check-record.js';
import type { TrialResult } from '../store/records.js';

/** Folder of a trial, in that of the study. */
export function trialFolder(studyDir: string, id: string): string {
  return join(studyDir, 'trials', id);
}

/** The result that a trial has left in its folder. One that is damaged or no result counts as missing. */
export async function readResult(dir: string): Promise<LeftResult | undefined> {
  const file = join(dir, 'result.json');
  try {
    const result = parseRecord('result', await readFile(file, 'utf8'));
    const { mtime } = await stat(file);
    return { result, ended: mtime.toISOString() };
  } catch {
    return undefined;
  }
}

/** A result and when it was written, ISO 8601. */
export interface LeftResult {
  readonly result: TrialResult;
  readonly ended: string;
}

/**
 * Writes it, all or nothing.
 *
 * @throws EspalierError `study/write`.
 */
export async function writeResult(dir: string, result: TrialResult): Promise<void> {
  await writeAtomically(dir, 'result.json', writeJson(result, 'result'));
}

/** Writes the job of a trial; returns its path. */
export async function writeJob(dir: string, job: object): Promise<string> {
  return writeAtomically(dir, 'job.json', writeJson(job, 'job', 2));
}

/** The names of what a trial has saved: the same text means that it has come no further. */
export async function watchProgress(dir: string): Promise<string> {
  const names = await readdir(join(dir, 'checkpoints')).catch(() => [] as string[]);
  return names
    .filter((name) => name.startsWith('step-'))
    .sort()
    .join(',');
}

async function writeAtomically(dir: string, name: string, text: string): Promise<string> {
  const path = join(dir, name);
  const aside = join(dir, `.tmp-${name}-${process.pid}-${randomUUID()}`);
  try {
    makeFolder(dir);
    await writeFile(aside, text);
    await rename(aside, path);
    return path;
  } catch (cause) {
    await rm(aside, { force: true }).catch(() => undefined); // the first error matters more
    throw fileError('study/write', `cannot write ${path}`, cause);
  }
}
