import { EspalierError } from '@espalier/core';
import type { HookName } from '@espalier/core';
import { withSession } from '../compare.js';
import { demand } from '../fail.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';
import { watch } from '../watch.js';

/**
 * Attribution: when a tap's argument is broken, the error comes out of the run and names the plugin
 * and the hook; a plugin that catches everything hides faults.
 */
export async function checkAttribution(subject: Subject): Promise<void> {
  const fired = await hooksFired(subject);
  for (const hook of fired) {
    const error = await errorWith(subject, hook);
    const id = subject.factory(subject.options).id;
    demand(
      error instanceof EspalierError && error.place?.plugin === id && error.place.hook === hook,
      'attribution',
      `a fault inside its ${hook} tap does not come out as an error of plugin '${id}' at ${hook}; do not catch errors that are not yours (got: ${String(error)})`,
    );
  }
}

async function hooksFired(subject: Subject): Promise<readonly HookName[]> {
  const fired = new Set<HookName>();
  await run(subject, (tap) => {
    fired.add(tap.hook);
    return tap.run();
  });
  return [...fired];
}

async function errorWith(subject: Subject, hook: HookName): Promise<unknown> {
  try {
    await run(subject, (tap) => tap.run(tap.hook === hook ? broken() : tap.argument));
    return undefined;
  } catch (error) {
    return error;
  }
}

function run(subject: Subject, around: Parameters<typeof watch>[1]): Promise<unknown> {
  const wrap = (plugin: ReturnType<Subject['factory']>) => watch(plugin, around);
  return withSession(openSession(subject, { wrap }), (session) => session.fit({ epochs: 1 }));
}

/** An argument that throws whenever it is looked at. */
function broken(): unknown {
  const refuse = () => {
    throw new Error('fault planted by the conformance kit');
  };
  return new Proxy({}, { get: refuse, ownKeys: refuse, has: refuse });
}
