import Database from 'libsql';
import { translateStoreErrors, isBusy } from './store-errors.js';

/**
 * Takes what only one process may have; the system gives it back when that process is killed.
 *
 * @param wait How long to wait for another process, in milliseconds.
 * @returns `undefined` if another process has it.
 * @throws EspalierError `study/store`.
 */
export function takeLock(file: string, wait = 0): Database.Database | undefined {
  let lock: Database.Database | undefined;
  try {
    return translateStoreErrors(file, () => {
      lock = new Database(file, { timeout: wait });
      lock.exec('BEGIN EXCLUSIVE');
      return lock;
    });
  } catch (error) {
    lock?.close();
    if (isBusy((error as Error).cause)) return undefined;
    throw error;
  }
}
