import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { EspalierError } from '@espalier/core';
import { loadStudy, openPacked } from '@espalier/study';
import type { LoadedStudy, StudyPlan, StudyRecords } from '@espalier/study';

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

/** The study itself, for commands that need its code. */
export async function readStudy(path: string): Promise<LoadedStudy> {
  if (!isPacked(path)) return loadStudy(path);
  throw new EspalierError('cli/packed', {
    problem: `${basename(path)} is a packed study, and this command takes the study itself`,
    fix: `Look at it: espalier study report ${path}. Or put it back: espalier study unpack ${path}.`,
  });
}
