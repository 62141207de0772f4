import type { PassedOver } from './backend-info.js';
import type { Candidate, Started } from './candidate.js';

function traits(started: Started, candidate: Candidate): string {
  const wasm = candidate.backend === 'wasm';
  return [
    `${candidate.package} ${started.version}`,
    started.device,
    wasm && (started.simd ? 'SIMD' : 'without SIMD, which this machine does not support'),
    `${started.threads} thread${started.threads === 1 ? '' : 's'}`,
    started.note,
  ]
    .filter(Boolean)
    .join(', ');
}

export const reasons = (passedOver: readonly PassedOver[]): string =>
  passedOver.map(({ name, reason, install }) => `${name}: ${reason} (${install})`).join('; ');

/** What was chosen, why each earlier one was not, and what would make it available. */
export function describe(
  candidate: Candidate,
  started: Started,
  passedOver: readonly PassedOver[],
): string {
  const chosen = `backend ${candidate.name} (${traits(started, candidate)})`;
  return passedOver.length === 0 ? chosen : `${chosen}; passed over ${reasons(passedOver)}`;
}
