import type { PassedOver } from './backend-info.js';
import type { Candidate, Started } from './candidate.js';

function threadsOf({ threads, threadsObstacle }: Started, asked = threads): string {
  const taken = `${threads} thread${threads === 1 ? '' : 's'}`;
  if (asked === threads) return taken;
  return `${taken} where ${asked} were asked for: ${threadsObstacle ?? 'it takes no more'}`;
}

function traits(candidate: Candidate, started: Started, threadsAsked?: number): string {
  const wasm = candidate.backend === 'wasm';
  return [
    `${candidate.package} ${started.version}`.trim(),
    started.device,
    wasm && (started.simd ? 'SIMD' : 'without SIMD, which this machine does not support'),
    threadsOf(started, threadsAsked),
  ]
    .filter(Boolean)
    .join(', ');
}

export const reasons = (passedOver: readonly PassedOver[]): string =>
  passedOver.map(({ name, reason, install }) => `${name}: ${reason} (${install})`).join('; ');

/** What was chosen. */
export const describe = (candidate: Candidate, started: Started, threadsAsked?: number): string =>
  `backend ${candidate.name} (${traits(candidate, started, threadsAsked)})`;

/** What was chosen, why each earlier one was not, and what would make it available. */
export const withReasons = (chosen: string, passedOver: readonly PassedOver[]): string =>
  passedOver.length === 0 ? chosen : `${chosen}; passed over ${reasons(passedOver)}`;
