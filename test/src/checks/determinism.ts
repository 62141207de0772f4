import { firstDifference, trainedValues, withSession } from '../compare.js';
import { demand } from '../fail.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';

/** Determinism: two runs of one seed end bit for bit the same, also in one process. */
export async function checkDeterminism(subject: Subject): Promise<void> {
  const run = () => withSession(openSession(subject), (session) => trainedValues(session, 2));
  const differing = firstDifference(await run(), await run());
  demand(
    differing === undefined,
    'determinism',
    `two runs with the same seed differ, first in '${differing}'; draw from ctx.random and keep no state outside the run`,
  );
}
