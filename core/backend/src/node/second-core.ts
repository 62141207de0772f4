import { createRequire } from 'node:module';
import { refuseForeignEngine, secondCore } from '../second-core.js';

const require = createRequire(import.meta.url);
const coreEntry = /[\\/]@tensorflow[\\/]tfjs-core[\\/]dist[\\/]tf-core\.node(\.min)?\.js$/;

/**
 * Checks that only one copy of tfjs-core is loaded in this process.
 *
 * @throws EspalierError `backend/second-core`, naming the files.
 */
export function refuseSecondCore(): void {
  const copies = Object.keys(require.cache).filter((file) => coreEntry.test(file));
  if (copies.length > 1) throw secondCore(copies.join(' and '));
  refuseForeignEngine();
}
