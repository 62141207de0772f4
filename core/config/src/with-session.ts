import { createSession } from '@espalier/core';
import type { Session } from '@espalier/core';
import type { LoadedConfig } from './load-config.js';
import { makeSessionConfig } from './session-config.js';

/**
 * Creates the session of a configuration, calls `use`, and disposes session and backend.
 *
 * @returns What `use` returns.
 * @throws The errors of `makeSessionConfig`, of `createSession`, and of `use`.
 * @example
 * await withSession(loaded, (session) => session.runStages(listStages(loaded)));
 */
export async function withSession<T>(
  loaded: LoadedConfig,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await createSession(await makeSessionConfig(loaded));
  try {
    return await use(session);
  } finally {
    await session.dispose();
    session.backend.dispose();
  }
}
