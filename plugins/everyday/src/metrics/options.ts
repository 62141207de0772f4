import { createToken, EspalierError } from '@espalier/core';
import type { PluginContext } from '@espalier/core';
import { z } from 'zod';
import type { OutputKind } from './output-kind.js';

/** What both plugins of metrics can compute. */
export const COMPUTED = ['f1', 'precision', 'recall', 'auroc', 'confusion'] as const;

/** Options that both share. */
export const metricsOptions = {
  topK: z.array(z.int().positive()).default([]),
  averages: z
    .array(z.enum(['macro', 'micro', 'positive', 'classes']))
    .min(1)
    .optional(),
  output: z.string().optional(),
};

/** What is to be computed of an output. */
export interface Wanted {
  readonly compute: readonly ((typeof COMPUTED)[number] | 'accuracy')[];
  readonly topK: readonly number[];
  readonly averages?: readonly ('macro' | 'micro' | 'positive' | 'classes')[] | undefined;
}

/**
 * Refuses what an output cannot give.
 *
 * @throws EspalierError `metrics/kind`.
 */
export function checkWanted({ compute, topK, averages = [] }: Wanted, measured: OutputKind): void {
  const { kind, classes, output } = measured;
  const refuse = (what: string, why: string) => {
    throw new EspalierError('metrics/kind', {
      problem: `output '${output}' cannot have ${what}: ${why}`,
      fix: 'Leave it out of the options.',
    });
  };
  if (kind === 'labels' && compute.includes('confusion')) {
    refuse('a confusion matrix', 'each example may have several of its labels');
  }
  const tooMany = topK.find((k) => kind !== 'classes' || k >= classes);
  if (tooMany !== undefined) {
    refuse(
      `top-${tooMany}`,
      kind === 'classes' ? `it has ${classes} classes` : 'its units are no classes of one choice',
    );
  }
  if (averages.includes('positive') && (kind === 'labels' || classes !== 2)) {
    refuse("the average 'positive'", `it has not two classes but ${classes} ${kind}`);
  }
}

/** Takes the names of metrics: two plugins that compute the same of one output are refused at setup. */
export function claimMetrics(
  ctx: Pick<PluginContext, 'provide'>,
  { compute, topK }: Wanted,
  { of, output }: { readonly of: 'evaluation' | 'training'; readonly output: string },
): void {
  for (const name of [...compute, ...topK.map((k) => `top-${k}`)]) {
    ctx.provide(createToken<true>(`metrics/${of}/${output}/${name}`), () => true);
  }
}
