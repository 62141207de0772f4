import { EspalierError, memoryStore } from '@espalier/core';
import type { Session } from '@espalier/core';
import { firstDifference, trainedValues, withSession } from '../compare.js';
import { demand } from '../fail.js';
import { tensorsLeakedBy } from '../leaks.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';

/**
 * Resume: training, a checkpoint in the middle of an epoch, and a new run that loads it and goes on
 * end bit for bit where an undisturbed run ends; saving and loading once more leave no tensor.
 */
export async function checkResume(subject: Subject): Promise<void> {
  const whole = await withSession(openSession(subject), (session) => trainedValues(session, 2));
  const store = memoryStore();
  const checkpoint = { store, everySteps: 2, everyEpochs: 1000, keep: 1 };
  const opening = openSession(subject, { more: { checkpoint } });
  await withSession(opening, (session) => saving(() => stopAfterCheckpoint(session)));
  const resumed = await withSession(
    openSession(subject, { more: { checkpoint } }),
    async (session) => {
      demand(await session.load(), 'resume', 'no checkpoint was written');
      const values = await trainedValues(session, 2);
      await saveAndLoadOnceMore(session);
      return values;
    },
  );
  const differing = firstDifference(whole, resumed);
  demand(
    differing === undefined,
    'resume',
    `a resumed run ends elsewhere than an undisturbed one, first in '${differing}'; put all that the plugin remembers into ctx.keepState`,
  );
}

/** What `save` of a plugin hands out must be what a checkpoint can hold. */
async function saving(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const refused = error instanceof EspalierError && error.place?.hook === 'save';
    demand(
      !refused,
      'resume',
      `what save of ctx.keepState hands out cannot be saved: ${String(error)}`,
    );
    throw error;
  }
}

/** By now the plugin has state, which `load` has to replace. */
async function saveAndLoadOnceMore(session: Session): Promise<void> {
  const saved = await tensorsLeakedBy(() => session.save());
  demand(
    saved === 0,
    'resume',
    `saving adds ${saved} tensors; let save of ctx.keepState hand out the tensors that the plugin holds, not copies`,
  );
  const loaded = await tensorsLeakedBy(() => session.load());
  demand(
    loaded === 0,
    'resume',
    `loading over state adds ${loaded} tensors; let load of ctx.keepState dispose what it replaces`,
  );
}

async function stopAfterCheckpoint(session: Session): Promise<void> {
  const stop = new AbortController();
  session.telemetry.on('checkpoint', () => stop.abort());
  await session.fit({ epochs: 2, signal: stop.signal });
}
