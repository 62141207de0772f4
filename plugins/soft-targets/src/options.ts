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

const isRule = ({ steps, epochs, until }: { steps?: unknown; epochs?: unknown; until?: unknown }) =>
  [steps, epochs, until].filter((each) => each !== undefined).length <= 1;

/** How much labels count: a number, or one in a warm-up and another after it. */
const labelWeight = z.union([
  weight,
  z
    .strictObject({
      /** Weight in the warm-up. */
      weight: weight.default(1),
      /** It lasts for so many optimizer steps, */
      steps: z.int().positive().optional(),
      /** or for so many epochs, */
      epochs: z.int().positive().optional(),
      /** or until the targets of every exit are right more often, over an epoch of training, than the exit is; */
      until: z.literal('better').optional(),
      /** not before so many epochs are over, */
      earliest: z.int().positive().optional(),
      /** at the latest after so many. */
      latest: z.int().positive().optional(),
      /** Weight after it. */
      then: weight.default(0),
      /** Whether the optimizer then begins anew, without what the labels' gradients left in it. */
      restart: z.boolean().default(true),
    })
    .refine(isRule, 'give one of steps, epochs and until')
    .refine(
      ({ earliest, latest, until }) => (earliest ?? latest) === undefined || until !== undefined,
      "earliest and latest belong to until: 'better'",
    )
    .refine(
      ({ earliest = 0, latest = Infinity }) => earliest <= latest,
      'earliest must not be after latest',
    ),
]);

/** The options of `labelGenerator`, as data. */
export const labelGeneratorOptions = labelPyramidOptions.extend({
  /** `false`: the labels that train the generator train the backbone too. */
  detach: z.boolean().default(true),
  /** Of Adam, which trains the generator, whatever trains the rest. */
  learningRate: z.number().positive().default(3e-3),
  /** Weight of the cross-entropy of its logits with the labels. */
  labelWeight: labelWeight.default(1),
});

/** Options of `buildLabelPyramid`. */
export type LabelPyramidOptions = z.input<typeof labelPyramidOptions>;

/** Options of `labelGenerator`. */
export type LabelGeneratorOptions = z.input<typeof labelGeneratorOptions>;
export type LabelWeight = z.output<typeof labelGeneratorOptions>['labelWeight'];
export type Design = Required<z.output<typeof labelPyramidOptions>>;
