import { EspalierError } from '@espalier/base';
import type { Run } from '../run.js';

/**
 * Refuses a checkpoint in the midst of what a resumed run does again from its beginning, where that has left
 * traces already: in the state of a plugin, or in parameters that one has set.
 *
 * @throws EspalierError `checkpoint/in-between`.
 */
export function refuseInexact(run: Run): void {
  if (run.phase === 'transform') throw inBetweenError('a transform is under way');
  const { underWay, states, taps } = run;
  if (!underWay) return;
  if (run.assignments !== underWay.assignments) {
    throw inBetweenError(`a plugin has set parameters in '${underWay.hooks.join("', '")}'`);
  }
  for (const hook of underWay.hooks) {
    const found = taps.listTaps(hook).find(({ plugin }) => states.has(plugin));
    if (!found) continue;
    throw inBetweenError(
      `plugin '${found.plugin}' keeps state and may have been called in '${hook}' or not`,
    );
  }
}

function inBetweenError(problem: string): EspalierError {
  return new EspalierError('checkpoint/in-between', {
    problem: `a checkpoint of this moment could not be resumed exactly: ${problem}`,
    fix: 'Save between steps: checkpoint: { everySteps: 100 }, or session.save() after await session.step(…) in a loop of your own.',
  });
}
