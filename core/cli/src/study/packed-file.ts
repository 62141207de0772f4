import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { quoteWord } from '@espalier/base';
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

/**
 * The study's folder of results, as if the packed file stood beside the study. The file may come from others: it
 * does not choose a folder outside of its own.
 *
 * @param option That names a folder instead.
 * @throws EspalierError `cli/packed`.
 */
export function resultsFolder(
  path: string,
  { name, definition }: StudyPlan,
  option: '--out' | '--dir',
): string {
  const { dir = `runs/${name}` } = definition as { readonly dir?: string };
  const own = resolve(dirname(path));
  const target = resolve(own, dir);
  if (`${target}${sep}`.startsWith(join(own, sep))) return target;
  throw new EspalierError('cli/packed', {
    problem: `${basename(path)} names a folder for its results that is not inside of ${own}`,
    received: dir,
    fix: `Choose the folder: ${option} DIR.`,
  });
}

/** The study itself, for commands that need its code. */
export async function readStudy(path: string): Promise<LoadedStudy> {
  if (!isPacked(path)) return loadStudy(path);
  throw new EspalierError('cli/packed', {
    problem: `${basename(path)} is a packed study, and this command takes the study itself`,
    fix: `Look at it: espalier study report ${quoteWord(path)}. Or put it back: espalier study unpack ${quoteWord(path)}.`,
  });
}
