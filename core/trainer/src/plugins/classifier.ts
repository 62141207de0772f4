import { EspalierError } from '@espalier/base';
import { Network } from '@espalier/model';
import type { Effects } from './effects.js';
import type { BaseContext } from './plugin.js';

type Classifying = Pick<BaseContext<Effects>, 'id' | 'losses' | 'model'>;

/** Whether the run trains an output as a classifier. */
export function isClassifier({ losses }: Pick<Classifying, 'losses'>, output: string): boolean {
  return losses[output]?.classIds === true;
}

/**
 * For plugins that read an output as logits over classes: refuses one that the run trains as something
 * else, or that gives probabilities.
 *
 * @throws EspalierError `<plugin>/no-classes`, `<plugin>/not-logits`.
 */
export function checkClassifier(ctx: Classifying, output: string): void {
  const { id, losses } = ctx;
  const loss = losses[output];
  if (!loss || !isClassifier(ctx, output)) {
    throw new EspalierError(`${id}/no-classes`, {
      problem: loss
        ? `this plugin is for classification, but output '${output}' is trained by ${loss.name}`
        : `this plugin is for classification, but output '${output}' has no loss`,
      received: Object.entries(losses).map(([name, each]) => `${name}: ${each.name}`),
      fix: 'Train classes with crossEntropy() (a loss of your own: with classIds: true), or leave the plugin out.',
    });
  }
  const { gives, layer } = new Network(ctx.model.layersModel).heads[output]!;
  if (loss.from === 'logits' || (loss.from === undefined && gives !== 'probabilities')) return;
  throw new EspalierError(`${id}/not-logits`, {
    problem: `this plugin needs logits of output '${output}', but its loss ${loss.name} takes probabilities, which layer '${layer}' gives`,
    fix: 'End the model in softmax or in nothing, and use crossEntropy(); a loss of your own gets logits with from: logits.',
  });
}
