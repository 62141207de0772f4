import { EspalierError } from '@espalier/core';
import type { Plugin } from '@espalier/core';
import { withSession } from '../compare.js';
import { demand } from '../fail.js';
import { openSession, pluginOf } from '../subject.js';
import type { PluginSubject } from '../subject.js';
import { checkTrainsAlone } from './alone.js';

/**
 * Pairing: beside a second instance of itself the plugin either trains, or is refused at setup as
 * a conflict of effects; and whoever owns a resource that it owns or transforms is refused too.
 */
export async function checkPairing(subject: PluginSubject): Promise<void> {
  const { id, effects } = pluginOf(subject);
  await pair(subject, [pluginOf(subject, { id: `${id}-twin` })], 'its twin');
  for (const [resource, mode] of Object.entries(effects)) {
    if (mode === 'add') continue;
    const outcome = await pair(subject, [ownerOf(resource)], `an owner of '${resource}'`);
    demand(
      outcome === 'refused',
      'pairing',
      `it declares '${resource}: ${mode}', but an owner of that resource is let in beside it`,
    );
  }
}

async function pair(
  subject: PluginSubject,
  others: readonly Plugin[],
  what: string,
): Promise<'trained' | 'refused'> {
  const companions = () => [...(subject.companions?.() ?? []), ...others];
  try {
    await withSession(openSession({ ...subject, companions }), (session) =>
      session.fit({ epochs: 1 }),
    );
    return 'trained';
  } catch (error) {
    const conflict =
      error instanceof EspalierError &&
      ['effects/conflict', 'services/two-providers'].includes(error.code);
    if (!conflict) await checkTrainsAlone(subject);
    demand(
      conflict,
      'pairing',
      `beside ${what} it fails in the middle of things instead of being refused at setup: ${String(error)}`,
    );
    return 'refused';
  }
}

function ownerOf(resource: string): Plugin {
  return {
    id: 'testkit-owner',
    version: '1.0.0',
    apiVersion: 1,
    effects: { [resource]: 'own' },
    order: {},
    stateless: true,
    options: {},
    apply: () => undefined,
  };
}
