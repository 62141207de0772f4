import { parseOptions } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { exitDistillation } from '@espalier/plugin-multi-exit';
import type { ExitDistillationOptions } from '@espalier/plugin-multi-exit';
import { teacher as teacherPlugin } from '@espalier/plugin-soft-targets';
import type { Teacher } from '@espalier/plugin-soft-targets';
import { z } from 'zod';

type TeacherSource = string | ((options?: never) => Teacher);

/** Options of {@link kd}. */
export interface KdOptions extends Pick<ExitDistillationOptions, 'divergence' | 'keepLabels'> {
  /**
   * A function that returns who teaches, `{ model: () => loadLayersModel(url) }` or `{ predict }`, or where
   * it is: `'./teacher.js#load'`.
   */
  readonly teacher?: TeacherSource;
  /** Share α of the soft loss; default 0.9. */
  readonly alpha?: ExitDistillationOptions['alpha'];
  /** Temperature τ of the soft loss; default 4. */
  readonly temperature?: number;
}

const kdOptions = exitDistillation.definition.options
  .pick({ alpha: true, temperature: true, divergence: true, keepLabels: true })
  .extend({
    teacher: z
      .custom<TeacherSource>(
        (value) => typeof value === 'function' || (typeof value === 'string' && value !== ''),
        "must be a function or '<module>#<export>'",
      )
      .optional(),
  });

/** The paper's method; options lie over it as a preset of their own, so that their origin is told apart. */
const PAPER: Preset = {
  name: 'kd',
  plugins: {
    // Who teaches is bound to its token 'teacher'.
    teacher: { use: teacherPlugin },
    'exit-distillation': {
      use: exitDistillation,
      options: { alpha: 0.9, temperature: 4 },
    },
  },
};

/**
 * Knowledge distillation (Hinton et al. 2015): a trained teacher's softened distribution teaches a
 * network without exits, beside the labels.
 *
 * @throws EspalierError `options/invalid`; at setup `services/missing` where nothing teaches.
 * @example
 * const teacher = () => ({ model: () => loadLayersModel('file://teacher/model.json') });
 * const session = await createSession({ preset: kd({ teacher }), …run });
 */
export function kd(options: KdOptions = {}): Preset {
  parseOptions("preset 'kd'", kdOptions, options);
  const { teacher, ...distillation } = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as KdOptions;
  if (!teacher && Object.keys(distillation).length === 0) return PAPER;
  return {
    name: 'kd with options',
    extends: PAPER,
    plugins: {
      ...(teacher && { teacher: { bind: { teacher: { use: teacher } } } }),
      'exit-distillation': { options: distillation },
    },
  };
}
