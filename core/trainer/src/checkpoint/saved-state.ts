import { copyJson, EspalierError, isPlain, suggest } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';

const FIELDS = ['json', 'tensors'];

/**
 * Refuses what a checkpoint could not give back as it was.
 *
 * @throws EspalierError `plugin/state`, or `json/not-json` with the place: `json.best.loss`.
 */
export function checkState(hook: string, state: unknown): void {
  const refuse = (problem: string, received: unknown, fix?: string) =>
    new EspalierError('plugin/state', {
      problem: `${hook} of keepState ${problem}`,
      received,
      fix,
    });
  if (!isPlain(state)) throw refuse('must return { json, tensors } at once', state);
  const unknown = Object.keys(state).find((key) => !FIELDS.includes(key));
  if (unknown !== undefined) {
    throw refuse(
      `returned '${unknown}', which is not kept`,
      state[unknown],
      suggest(unknown, FIELDS),
    );
  }
  const { json, tensors = {} } = state;
  if (json !== undefined) copyJson(json, 'json');
  if (!isPlain(tensors)) throw refuse("must return 'tensors' by name", tensors);
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor instanceof tf.Tensor && !tensor.isDisposed) continue;
    throw refuse(
      `returned 'tensors.${name}', which is no live tensor`,
      tensor,
      'Numbers go into json.',
    );
  }
}
