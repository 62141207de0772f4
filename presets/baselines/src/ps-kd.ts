import { parseOptions } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { exitDistillation } from '@espalier/plugin-multi-exit';
import { previousEpoch } from '@espalier/plugin-soft-targets';
import { z } from 'zod';

const psKdOptions = z.strictObject({
  epochs: z.int().min(2),
  alpha: z.number().gt(0).max(1).default(0.8),
});

/** Options of {@link psKd}. */
export interface PsKdOptions {
  /** T, how many epochs the run has: the share of the soft loss grows until the last. Two or more. */
  readonly epochs: number;
  /** α_T, the share of the soft loss in the last epoch; default 0.8. */
  readonly alpha?: number;
}

/**
 * Progressive self-knowledge distillation (Kim et al. 2021): the network as it was when the previous epoch
 * ended softens the labels of this one, in epoch t of T by the share α_T·t/T. It needs no exits; where there
 * are some, each learns from its earlier self.
 *
 * @throws EspalierError `options/invalid`, also without `epochs`.
 * @example
 * const session = await createSession({ preset: psKd({ epochs: 100 }), …run });
 * await session.fit({ epochs: 100 });
 */
export function psKd(options?: PsKdOptions): Preset {
  const { epochs, alpha: last } = parseOptions("preset 'ps-kd'", psKdOptions, options ?? {});
  const alpha = { kind: 'linear', from: last / epochs, to: last, epochs: epochs - 1 };
  return {
    name: 'ps-kd',
    plugins: {
      'previous-epoch': { use: previousEpoch },
      'exit-distillation': { use: exitDistillation, options: { alpha, temperature: 1 } },
    },
  };
}
