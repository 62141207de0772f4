import { backendNames, useBackend } from '@espalier/backend';
import type { BackendName } from '@espalier/backend';

/**
 * The backends to test on: those of the environment variable `ESPALIER_TEST_BACKENDS` (names of
 * `useBackend`, separated by commas), else cpu and wasm, which every machine can run.
 */
export function backendsUnderTest(): readonly BackendName[] {
  const { process } = globalThis as { process?: { env: Record<string, string | undefined> } };
  const named = process?.env['ESPALIER_TEST_BACKENDS']?.split(',');
  return named ? backendNames.filter((name) => named.includes(name)) : ['cpu', 'wasm'];
}

/** Makes a backend the current one, able to train, until the process ends. */
export async function onBackend(name: BackendName): Promise<void> {
  await useBackend({ prefer: [name] });
}
