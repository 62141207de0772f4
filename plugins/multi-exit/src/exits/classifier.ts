import { EspalierError, suggest, toCanonicalName } from '@espalier/core';
import type { LayerInfo, ModelView } from '@espalier/core';
import { findAncestors } from './dependencies.js';

/** The network's own last exit. */
export interface Classifier {
  /** Name of the output that gives logits `[batch, classes]`. */
  readonly output: string;
  readonly classes: number;
  /** The layer whose output the head takes. */
  readonly features: string;
  /**
   * Layers that an exit may stand behind: all before the head that lead to it, inputs excepted,
   * in topological order.
   */
  readonly body: ReadonlySet<string>;
}

/**
 * Finds the head of a classifier: its last layer with parameters, and what comes after.
 *
 * @throws EspalierError `multi-exit/output`, `multi-exit/not-logits`.
 */
export function findClassifier(view: ModelView, wanted?: string): Classifier {
  const { ownOutputs, ownNames } = view;
  const output = toCanonicalName(wanted ?? ownOutputs[0]!, ownOutputs, ownNames);
  if (!ownOutputs.includes(output)) {
    throw new EspalierError('multi-exit/output', {
      problem: `the model has no output '${output}' of its own`,
      fix: suggest(output, ownOutputs),
    });
  }
  const behind = traceHead(view, output);
  checkShape(behind[0]!);
  const head = behind.at(-1)!;
  const features = head.inbound[0] ?? head.name;
  const before = new Set(head.inbound.flatMap((name) => [...findAncestors(view, name)]));
  const body = view.layers
    .map(({ name }) => name)
    .filter((name) => before.has(name) && !view.inputNames.includes(name));
  return { output, classes: behind[0]!.outputShape[0]!, features, body: new Set(body) };
}

/** From the output layer back to the last one with parameters. */
function traceHead(view: ModelView, output: string): readonly LayerInfo[] {
  const layers = new Map(view.layers.map((layer) => [layer.name, layer]));
  const chain = [layers.get(output)!];
  for (;;) {
    const { parameters, inbound } = chain.at(-1)!;
    if (parameters > 0 || inbound.length !== 1) return chain;
    chain.push(layers.get(inbound[0]!)!);
  }
}

function checkShape({ name, outputShape }: LayerInfo): void {
  if (outputShape.length === 1 && outputShape[0] !== null && outputShape[0]! >= 2) return;
  throw new EspalierError('multi-exit/not-logits', {
    problem: `output '${name}' must be logits of shape [batch, classes] with 2 classes or more`,
    received: ['batch', ...outputShape],
    fix: 'Exits classify whole examples; name another output with the option output.',
  });
}
