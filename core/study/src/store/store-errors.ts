import { EspalierError } from '@espalier/core';

const REBUILD =
  'It is damaged: espalier study run makes a new one from what can be read of it and from trials/.';

/** What to do, by the kind of SQLite's result code: `BUSY` of `SQLITE_BUSY_TIMEOUT`. */
const ADVICE: Readonly<Record<string, string>> = {
  BUSY: 'Another program has it open: close that.',
  LOCKED: 'Another program has it open: close that.',
  READONLY: 'Give this user write access to its folder.',
  PERM: 'Give this user write access to its folder.',
  FULL: 'The disk is full: free some space.',
  NOTADB: REBUILD,
  CORRUPT: REBUILD,
  ERROR: REBUILD,
};

/**
 * Turns an error of the database into one that names the file and the way out.
 *
 * @throws EspalierError `study/store`.
 */
export function translateStoreErrors<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    const advice = ADVICE[readKind(cause)] ?? 'Check the disk, or choose another dir.';
    throw new EspalierError('study/store', {
      problem: `cannot use ${file}: ${message}`,
      fix: `${advice} The results of the trials are in trials/ too.`,
      cause,
    });
  }
}

/** Whether another connection holds the lock. */
export function isBusy(cause: unknown): boolean {
  return ['BUSY', 'LOCKED'].includes(readKind(cause));
}

/** Whether the content of the file is damaged, and not only out of reach. */
export function isDamage(error: unknown): boolean {
  return ['CORRUPT', 'NOTADB', 'ERROR'].includes(readKind(error));
}

function readKind(cause: unknown): string {
  const { code } = cause as { readonly code?: string };
  return code?.split('_')[1] ?? '';
}
