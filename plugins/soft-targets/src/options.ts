import { z } from 'zod';

const weight = z.number().nonnegative();

/** The options of `buildLabelPyramid`, as data: the network of `labelGenerator`. */
export const labelPyramidOptions = z.strictObject({
  /** Width of laterals, blocks and the hidden layer; default: that of the shallowest map. */
  channels: z.int().positive().optional(),
  /** How a deeper map gets the size of the next one. */
  upsample: z.enum(['nearest', 'bilinear']).default('nearest'),
  /** How a level joins the one above: summed, or side by side. */
  merge: z.enum(['add', 'concat']).default('add'),
  /** What follows a merge: a 3×3 convolution with batch normalization and ReLU, or nothing. */
  block: z.enum(['conv', 'none']).default('conv'),
  /** A 1×1 convolution, with a bias or with batch normalization. */
  lateral: z.enum(['linear', 'normalized']).default('linear'),
  /** How logits are made of the mean features: a dense layer, or two. */
  head: z.enum(['linear', 'hidden']).default('linear'),
});

/** The options of `labelGenerator`, as data. */
export const labelGeneratorOptions = labelPyramidOptions.extend({
  /** `false`: the labels that train the generator train the backbone too. */
  detach: z.boolean().default(true),
  /** Weight of the cross-entropy of its logits with the labels; with `steps` only for the first optimizer steps. */
  labelWeight: z
    .union([
      weight,
      z.strictObject({ weight: weight.default(1), steps: z.int().positive().optional() }),
    ])
    .default(1),
});

/** Options of `buildLabelPyramid`. */
export type LabelPyramidOptions = z.input<typeof labelPyramidOptions>;

/** Options of `labelGenerator`. */
export type LabelGeneratorOptions = z.input<typeof labelGeneratorOptions>;
export type LabelWeight = z.output<typeof labelGeneratorOptions>['labelWeight'];
export type Design = Required<z.output<typeof labelPyramidOptions>>;
