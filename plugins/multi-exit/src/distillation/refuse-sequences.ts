import { EspalierError } from '@espalier/core';
import type { ModelView } from '@espalier/core';

/**
 * Refuses a network all of whose outputs give more than one row for each example.
 *
 * @throws EspalierError `exit-distillation/sequences`.
 */
export function refuseSequences({ outputShapes }: Pick<ModelView, 'outputShapes'>): void {
  const shapes = Object.entries(outputShapes);
  if (shapes.some(([, shape]) => shape.length === 2)) return;
  const [output, shape] = shapes[0]!;
  throw new EspalierError('exit-distillation/sequences', {
    problem: `this plugin distils logits [batch, classes], and no output gives them: '${output}' gives [batch, ${shape.slice(1).join(', ')}]`,
    fix: 'Leave the plugin out, or train a network that gives one row of logits for each example.',
  });
}
