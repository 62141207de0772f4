import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, readJson, writeJson } from '@espalier/core';
import type { TrialResult } from '../store/records.js';

/** Folder of a trial, in that of the study. */
export function trialFolder(studyDir: string, id: string): string {
  return join(studyDir, 'trials', id);
}

/** The result of a finished trial. A result that cannot be read counts as missing. */
export async function readResult(dir: string): Promise<TrialResult | undefined> {
  const text = await readFile(join(dir, 'result.json'), 'utf8').catch(() => '');
  try {
    return readJson(text) as TrialResult;
  } catch {
    return undefined;
  }
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
    await mkdir(dir, { recursive: true });
    await writeFile(aside, text);
    await rename(aside, path);
    return path;
  } catch (cause) {
    await rm(aside, { force: true }).catch(() => undefined); // the first error matters more
    throw fileError('study/write', `cannot write ${path}`, cause);
  }
}
