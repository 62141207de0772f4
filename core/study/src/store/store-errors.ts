import { EspalierError } from '@espalier/core';

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
    const { code = '', message = String(cause) } = cause as { code?: string; message?: string };
    throw new EspalierError('study/store', {
      problem: `cannot use ${file}: ${message}`,
      fix: `${adviceFor(`${code} ${message}`)} The results of the trials are in trials/ too.`,
      cause,
    });
  }
}

/** Whether another connection holds the lock. */
export function isBusy(cause: unknown): boolean {
  return /SQLITE_BUSY|locked/.test(`${(cause as { code?: string }).code} ${String(cause)}`);
}

function adviceFor(said: string): string {
  if (/BUSY|LOCKED|locked/.test(said)) return 'Another program has it open: close that.';
  if (/READONLY|readonly|PERM/.test(said)) return 'Give this user write access to its folder.';
  if (/FULL|full/.test(said)) return 'The disk is full: free some space.';
  if (/NOTADB|CORRUPT|malformed|not a database/.test(said)) {
    return 'It is damaged: move it away and run again; what trials finished is read from their folders.';
  }
  return 'Check the disk, or choose another dir.';
}
