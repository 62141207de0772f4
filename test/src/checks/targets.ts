import { arraySource } from '@espalier/core';
import type { Source } from '@espalier/core';
import { firstDifference, trainedValues, withSession } from '../compare.js';
import type { Values } from '../compare.js';
import { ConformanceError, demand } from '../fail.js';
import { inputShapeOf, tinyData } from '../fixtures.js';
import { openSession, modelOf } from '../subject.js';
import type { Subject } from '../subject.js';

const EXAMPLES = 12;
/** Of these examples nothing may count. */
const MASKED = [1, 6];

/**
 * Targets: what its taps hand on is what the losses demand, class ids train as their distributions do,
 * and an example of weight 0 counts for nothing, though it holds NaN. Of runs with data or losses of
 * their own, which the check cannot make, it asks nothing.
 */
export async function checkTargets(subject: Subject): Promise<void> {
  if (subject.session?.train || subject.session?.loss) return;
  const ids = await trainOn(subject, weightedSource(subject, 'ids'));
  const shares = await trainOn(subject, weightedSource(subject, 'shares'));
  const differing = firstDifference(ids, shares);
  demand(
    differing === undefined,
    'targets',
    `the same labels train otherwise as distributions than as class ids, first in '${differing}'; take either with toDistribution`,
  );
}

async function trainOn(subject: Subject, train: Source): Promise<Values> {
  try {
    const opening = openSession(subject, { more: { train, validation: train } });
    return await withSession(opening, (session) => trainedValues(session, 1));
  } catch (cause) {
    const problem = `it does not train where examples of weight 0 hold NaN: ${String(cause)}; reduce with mean(…), which leaves them out`;
    throw new ConformanceError('targets', problem, { cause });
  }
}

function weightedSource(subject: Subject, labels: 'ids' | 'shares'): Source {
  const probe = modelOf(subject);
  const shape = inputShapeOf(probe);
  const classes = probe.outputs.at(-1)!.shape.at(-1)!;
  probe.dispose();
  const { x, y } = tinyData({ shape, classes, examples: EXAMPLES });
  const size = x.data.length / EXAMPLES;
  for (const example of MASKED) x.data.fill(NaN, example * size, (example + 1) * size);
  const shares = Float32Array.from({ length: EXAMPLES * classes }, (_, i) =>
    MASKED.includes(Math.floor(i / classes))
      ? NaN
      : Number(y.data[Math.floor(i / classes)] === i % classes),
  );
  return arraySource({
    x,
    y: labels === 'ids' ? y : { data: shares, shape: [EXAMPLES, classes] },
    weights: Float32Array.from({ length: EXAMPLES }, (_, i) =>
      MASKED.includes(i) ? 0 : 1 + (i % 2),
    ),
    batchSize: 4,
  });
}
