import { backendNames } from '@espalier/backend';
import { stagesShape } from '@espalier/core';
import { z } from 'zod';

const count = z.int().positive();
const options = z.record(z.string(), z.unknown());

/** `{ use, options }`; a string alone is short for `{ use }`, in the JSON Schema too. */
const reference = (description: string) =>
  z
    .strictObject({
      use: z
        .string()
        .min(1)
        .describe('A built-in name, or a module and its export: ./model.js#cnn'),
      options: options.optional(),
    })
    .meta({ description, shorthand: true });

const pluginEntry = z.strictObject({
  use: z.string().min(1).optional(),
  options: options.optional(),
  bind: z.record(z.string(), reference('A component for a token.')).optional(),
});

const limit = z.number().positive().optional();
const optimizer = reference('').extend({
  clip: z
    .strictObject({ globalNorm: limit, norm: limit, value: limit })
    .optional()
    .describe('Clips the gradients first.'),
});

/** A preset may be data too; it has checks of its own, so this is for editors. */
const presetAsData = {
  type: 'object',
  properties: { extends: {}, plugins: { type: 'object' }, name: { type: 'string' } },
  required: ['plugins'],
  additionalProperties: false,
};

/**
 * What a configuration says, as data. Functions and objects that a TypeScript configuration may hold
 * in place of references are set aside before, so that this one schema serves both and the editors.
 */
export const schema = z
  .strictObject({
    $schema: z.string().optional(),
    model: reference('A function that takes the options and returns a tf.LayersModel.'),
    data: z
      .strictObject({
        train: reference('A source of batches, or a function that returns one.').optional(),
        validation: reference('Evaluated after every epoch, or as validateEvery says.').optional(),
        test: reference('Evaluated by `espalier eval`.').optional(),
      })
      .default({})
      .describe('Functions get the options and batchSize.'),
    batchSize: count.optional().describe('Handed to the functions under data.'),
    preset: reference('A preset: @espalier/preset-baselines#byot; or several, by extends.')
      .meta({ alternatives: [presetAsData] })
      .optional(),
    plugins: z
      .record(z.string(), z.union([z.literal(false), pluginEntry]))
      .optional()
      .describe('By id: additions to the preset, changes, or false to remove one.'),
    loss: reference('cross-entropy, binary-cross-entropy, mean-squared-error, or a module.'),
    optimizer: optimizer.meta({
      description:
        'sgd, adam, adamw, rmsprop (as in PyTorch); tfjs.sgd, tfjs.momentum, tfjs.adam, tfjs.adamax, tfjs.rmsprop, tfjs.adagrad, tfjs.adadelta (as in TensorFlow.js); or a module. Rates may be schedules.',
      shorthand: true,
    }),
    epochs: count.optional().describe('Epochs in all, resumed ones included. This or stages.'),
    stages: stagesShape
      .optional()
      .describe('Training and transforms, in order; true: by every plugin that has a transform.'),
    validateEvery: count
      .optional()
      .describe('Epochs from one validation to the next; the last is always one. Default 1.'),
    accumulate: count.optional().describe('Micro-batches per optimizer step; default 1.'),
    semantics: z
      .enum(['espalier', 'tfjs'])
      .optional()
      .describe('Whose rules hold where tfjs differs; default espalier.'),
    seed: z.int().nonnegative().optional().describe('Default 0.'),
    backend: z
      .strictObject({
        prefer: z.array(z.enum(backendNames)).min(1).optional(),
        threads: count.optional(),
      })
      .default({})
      .describe('Default: the fastest that works.'),
    checkpoint: z
      .strictObject({
        dir: z.string().min(1).describe('Relative to this file.'),
        everySteps: count.optional(),
        everyEpochs: count.optional().describe('Default 1.'),
        keep: count.optional().describe('Default 2.'),
        takeOver: z
          .string()
          .min(1)
          .optional()
          .describe('The run on another host, as the error names it, whose folder this run takes.'),
      })
      .optional(),
    log: z
      .strictObject({
        interval: count.optional().describe('Steps between two reports; default 50.'),
        jsonl: z.string().min(1).optional().describe('File for telemetry, relative to this file.'),
      })
      .default({}),
  })
  .refine(({ epochs, stages }) => epochs === undefined || stages === undefined, {
    message: 'epochs and stages exclude each other: write epochs: 3 as a stage, { epochs: 3 }',
    path: ['stages'],
  })
  .meta({ title: 'Espalier configuration' });

/** What the JSON Schema of a reference is made of. */
interface Shorthand {
  readonly description?: string;
  readonly alternatives?: readonly object[];
}

/** The validated data of a configuration. */
export type Settings = z.output<typeof schema>;

/** The schema for editors: `"$schema": "./node_modules/espalier/schema.json"`. */
export function jsonSchema(): unknown {
  return z.toJSONSchema(schema, {
    io: 'input',
    override({ zodSchema, jsonSchema: json }) {
      if (!z.globalRegistry.get(zodSchema as never)?.['shorthand']) return;
      delete json['shorthand'];
      const { description, alternatives = [], ...object } = json as Shorthand;
      for (const key of Object.keys(json)) delete json[key];
      const anyOf = [{ type: 'string', minLength: 1 }, object, ...alternatives];
      Object.assign(json, { description, anyOf });
    },
  });
}
