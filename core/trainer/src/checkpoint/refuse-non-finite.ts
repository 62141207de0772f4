import { EspalierError } from '@espalier/base';
import type { Checkpoint } from '@espalier/checkpoint';
import { findNonFinite } from '../finite.js';
import type { Run } from '../run.js';
import { PARAMETERS } from './snapshot.js';

/**
 * Refuses a state from which no run could go on. What does not train may be infinite where it was given so.
 *
 * @throws EspalierError `checkpoint/non-finite`, naming the tensor.
 */
export function refuseNonFinite({ structure }: Run, { tensors }: Checkpoint): void {
  for (const [name, { dtype, data }] of tensors) {
    if (dtype !== 'F32') continue;
    const values = data as Float32Array;
    const at = findNonFinite(values);
    if (at < 0 || isAsGiven(structure, name)) continue;
    throw nonFiniteError(name, at, values[at]!);
  }
}

function isAsGiven({ parameters }: Run['structure'], name: string): boolean {
  return name.startsWith(PARAMETERS) && parameters.isAsGiven(name.slice(PARAMETERS.length));
}

function nonFiniteError(name: string, at: number, received: number): EspalierError {
  return new EspalierError('checkpoint/non-finite', {
    problem: `element ${at} of '${name}' is not finite, and no run could go on from there: nothing was saved`,
    received,
    fix: 'Load the last checkpoint, which is intact; lower the learning rate, clip gradients, or look for very large values in the data.',
  });
}
