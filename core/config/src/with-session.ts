import { createSession } from '@espalier/core';
import type { Session } from '@espalier/core';
import type { LoadedConfig } from './load-config.js';
import { makeSessionConfig } from './session-config.js';

/** Sets a session up, uses it, and leaves nothing that would keep the process alive. */
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
