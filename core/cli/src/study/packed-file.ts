import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { EspalierError } from '@espalier/core';
import { openPacked } from '@espalier/study';
import type { StudyPlan, StudyRecords } from '@espalier/study';

/** By its name, so that a damaged one is not taken for a study. */
export const isPacked = (path: string): boolean => path.endsWith('.gz');

/** @throws EspalierError `study/packed`, `cli/packed`. */
export async function readPacked(path: string): Promise<StudyRecords> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new EspalierError('cli/packed', {
      problem: `cannot read ${path}: ${(cause as Error).message}`,
      fix: 'Give a file that espalier study pack wrote.',
      cause,
    });
  });
  return openPacked(bytes, basename(path));
}

/** The study's folder of results, as if the packed file stood beside the study. */
export function resultsFolder(path: string, { name, definition }: StudyPlan): string {
  const { dir } = definition as { readonly dir?: string };
  return resolve(dirname(path), dir ?? `runs/${name}`);
}
