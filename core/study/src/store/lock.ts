import { rmSync } from 'node:fs';
import Database from 'libsql';
import { isBusy, isDamage, translateStoreErrors } from './store-errors.js';

/**
 * Takes what only one process may have; the system gives it back when that process is killed. A damaged file
 * is made anew: there is nothing in it, and nobody can hold it.
 *
 * @param wait How long to wait for another process, in milliseconds.
 * @returns `undefined` if another process has it.
 * @throws EspalierError `study/store`.
 */
export function takeLock(file: string, wait = 0): Database.Database | undefined {
  return translateStoreErrors(file, () => {
    try {
      return tryLock(file, wait);
    } catch (error) {
      if (!isDamage(error)) throw error;
      rmSync(file);
      return tryLock(file, wait);
    }
  });
}

function tryLock(file: string, wait: number): Database.Database | undefined {
  const lock = new Database(file, { timeout: wait });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}
