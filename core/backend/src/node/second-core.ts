import { createRequire } from 'node:module';
import { refuseForeignEngine, secondCore } from '../second-core.js';

const require = createRequire(import.meta.url);
const coreEntry = /[\\/]@tensorflow[\\/]tfjs-core[\\/]dist[\\/]tf-core\.node(\.min)?\.js$/;

/** @throws EspalierError `backend/second-core` naming the files, if more than one copy of tfjs-core has been loaded. */
export function refuseSecondCore(): void {
  const copies = Object.keys(require.cache).filter((file) => coreEntry.test(file));
  if (copies.length > 1) throw secondCore(copies.join(' and '));
  refuseForeignEngine();
}
