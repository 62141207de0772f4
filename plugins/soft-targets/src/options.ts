import { z } from 'zod';

const weight = z.number().nonnegative();

/** The options of `labelGenerator`, as data. */
export const labelGeneratorOptions = z.strictObject({
  channels: z.int().positive().optional(),
  upsample: z.enum(['nearest', 'bilinear']).default('nearest'),
  merge: z.enum(['add', 'concat']).default('add'),
  block: z.enum(['conv', 'none']).default('conv'),
  lateral: z.enum(['linear', 'normalized']).default('linear'),
  head: z.enum(['linear', 'hidden']).default('linear'),
  detach: z.boolean().default(true),
  labelWeight: z
    .union([
      weight,
      z.strictObject({ weight: weight.default(1), steps: z.int().positive().optional() }),
    ])
    .default(1),
});

/** Options of `labelGenerator`. */
export type LabelGeneratorOptions = z.input<typeof labelGeneratorOptions>;
export type LabelWeight = z.output<typeof labelGeneratorOptions>['labelWeight'];
export type Design = Required<
  Omit<z.output<typeof labelGeneratorOptions>, 'detach' | 'labelWeight'>
>;
