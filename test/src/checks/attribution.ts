import { EspalierError } from '@espalier/core';
import type { HookName, Plugin } from '@espalier/core';
import { withSession } from '../compare.js';
import { demand } from '../fail.js';
import { openSession, pluginOf } from '../subject.js';
import type { PluginSubject } from '../subject.js';
import { watch } from '../watch.js';
import type { Watched } from '../watch.js';

/**
 * Attribution: a fault inside a tap comes out of the run and names the plugin and the hook; a plugin
 * that catches everything hides faults.
 */
export async function checkAttribution(subject: PluginSubject): Promise<void> {
  const fired = await hooksFired(subject);
  for (const hook of fired) {
    const error = await errorWith(subject, hook);
    const id = pluginOf(subject).id;
    demand(
      error instanceof EspalierError && error.place?.plugin === id && error.place.hook === hook,
      'attribution',
      `a fault inside its ${hook} tap does not come out as an error of plugin '${id}' at ${hook}; do not catch errors that are not yours (got: ${String(error)})`,
    );
  }
}

async function hooksFired(subject: PluginSubject): Promise<readonly HookName[]> {
  const fired = new Set<HookName>();
  await run(subject, (tap) => {
    fired.add(tap.hook);
    return tap.run();
  });
  return [...fired];
}

async function errorWith(subject: PluginSubject, hook: HookName): Promise<unknown> {
  try {
    await run(subject, (tap) => (tap.hook === hook ? faulty(tap) : tap.run()));
    return undefined;
  } catch (error) {
    return error;
  }
}

function run(subject: PluginSubject, around: Parameters<typeof watch>[1]): Promise<unknown> {
  const wrap = (plugin: Plugin) => watch(plugin, around);
  return withSession(openSession(subject, { wrap }), (session) => session.fit({ epochs: 1 }));
}

/** Runs a tap on an argument that throws when looked at; one that never looks throws at its end. */
function faulty(tap: Watched): unknown {
  let looked = false;
  const refuse = () => {
    looked = true;
    throw new Error('fault planted by the conformance kit');
  };
  const result = tap.run(new Proxy({}, { get: refuse, ownKeys: refuse, has: refuse }));
  const end = (value: unknown) => (looked ? value : refuse());
  return result instanceof Promise ? result.then(end) : end(result);
}
