import { createRequire } from 'node:module';
import { NotAvailable } from '../candidate.js';

const require = createRequire(import.meta.url);
const shared = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers'];

function resolveFrom(file: string, id: string): string | undefined {
  try {
    return createRequire(file).resolve(id);
  } catch {
    return undefined;
  }
}

/** Tensors and optimizers of one copy are strangers to another: `instanceof` fails. */
function refuseSecondCopy(manifest: string): void {
  const union = resolveFrom(manifest, '@tensorflow/tfjs/package.json');
  for (const from of union ? [manifest, union] : [manifest]) {
    for (const id of shared) {
      const theirs = resolveFrom(from, id);
      const ours = resolveFrom(import.meta.url, id);
      if (theirs && ours && theirs !== ours) {
        throw new NotAvailable(
          `it brings a second copy of ${id}, ${theirs} beside ${ours}`,
          `npm dedupe, or one version of all @tensorflow packages`,
        );
      }
    }
  }
}

/**
 * Finds an optional package without loading it.
 *
 * @returns Its version.
 * @throws NotAvailable if it is not installed, or would load a second copy of tfjs.
 */
export function findPeer(id: string): string {
  let manifest: string;
  try {
    manifest = require.resolve(`${id}/package.json`);
  } catch {
    throw new NotAvailable('not installed');
  }
  refuseSecondCopy(manifest);
  return (require(manifest) as { readonly version: string }).version;
}

/** The first line of whatever was thrown. */
export const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0]!.trim();
