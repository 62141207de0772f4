import { withSession } from '../compare.js';
import { ConformanceError } from '../fail.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';

/** Trains alone: one epoch, with nothing beside the plugin but its companions, comes to its end. */
export async function checkTrainsAlone(subject: Subject): Promise<void> {
  try {
    await withSession(openSession(subject), (session) => session.fit({ epochs: 1 }));
  } catch (cause) {
    throw new ConformanceError('trains alone', `one epoch fails: ${String(cause)}`, { cause });
  }
}
