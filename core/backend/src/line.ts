import type { SkippedBackend } from './backend-info.js';
import type { Candidate, Started } from './candidate.js';

function describeThreads({ threads, threadsObstacle }: Started, asked = threads): string {
  const taken = `${threads} thread${threads === 1 ? '' : 's'}`;
  if (asked === threads) return taken;
  return `${taken} where ${asked} were asked for: ${threadsObstacle ?? 'it takes no more'}`;
}

/** That there are fewer threads than were asked for, if so. */
export function warnOfThreads(
  { name }: Candidate,
  started: Started,
  threadsAsked?: number,
): string | undefined {
  if (threadsAsked === undefined || threadsAsked === started.threads) return undefined;
  return `${name} takes ${describeThreads(started, threadsAsked)}`;
}

function describeTraits(candidate: Candidate, started: Started, threadsAsked?: number): string {
  const wasm = candidate.backend === 'wasm';
  return [
    `${candidate.package} ${started.version}`.trim(),
    started.device,
    wasm && (started.simd ? 'SIMD' : 'without SIMD, which this machine does not support'),
    describeThreads(started, threadsAsked),
  ]
    .filter(Boolean)
    .join(', ');
}

export const describeSkipped = (passedOver: readonly SkippedBackend[]): string =>
  passedOver.map(({ name, reason, install }) => `${name}: ${reason} (${install})`).join('; ');

/** What was chosen. */
export const describeChosen = (
  candidate: Candidate,
  started: Started,
  threadsAsked?: number,
): string => `backend ${candidate.name} (${describeTraits(candidate, started, threadsAsked)})`;

/** What was chosen, why each earlier one was not, and what would make it available. */
export const appendReasons = (chosen: string, passedOver: readonly SkippedBackend[]): string =>
  passedOver.length === 0 ? chosen : `${chosen}; passed over ${describeSkipped(passedOver)}`;
