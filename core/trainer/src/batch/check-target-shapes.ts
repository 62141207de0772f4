import { checkTargetShape } from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import type { NamedTensors } from './batch.js';

/**
 * Refuses targets whose shape no loss can take.
 *
 * @throws EspalierError `targets/shape`.
 */
export function checkTargetShapes(
  losses: Readonly<Record<string, Loss>>,
  targets: NamedTensors,
  outputShapes: Readonly<Record<string, readonly (number | null)[]>>,
): void {
  for (const [output, loss] of Object.entries(losses)) {
    checkTargetShape(loss, targets[output]!, { output, shape: outputShapes[output]! });
  }
}
