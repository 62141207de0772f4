import { z } from 'zod';

/** Seeds count on from the largest, for tuning: those must be exact too. */
const MOST_SEED = 2 ** 52;
/** A timer of more milliseconds than 32 bits hold would end at once. */
const MOST_SECONDS = Math.floor((2 ** 31 - 1) / 1000);

const name = z.string().min(1);
/** Part of a file's name. */
const fileName = name.max(100).refine((text) => !/[/\\\p{Cc}]/u.test(text) && !/^\.+$/.test(text), {
  message: 'names files and folders: no slash, no control character, not . or ..',
});
const direction = z.enum(['max', 'min']).optional();
const metric = z.union([
  name.transform((text): { name: string; direction?: 'max' | 'min' } => ({ name: text })),
  z.strictObject({ name, direction }),
]);
const count = z.int().positive();
/** Trials of a row: more are a slip of the pen that would fill the memory. */
const many = count.max(10_000);
const seeds = z.union([
  many,
  z
    .array(z.int().nonnegative().max(MOST_SEED))
    .min(1)
    .max(10_000)
    .refine((each) => new Set(each).size === each.length, 'a seed stands there twice'),
]);
const range = z.union([
  z
    .strictObject({
      low: z.number(),
      high: z.number(),
      scale: z.enum(['linear', 'log']).default('linear'),
    })
    .refine(({ low, high }) => low < high, 'low must be below high')
    .refine(({ low, scale }) => scale === 'linear' || low > 0, 'a log scale starts above 0'),
  z.strictObject({ choices: z.array(z.unknown()).min(2) }),
]);

const contrast = z.strictObject({
  of: name,
  minus: name,
  metric: z.union([name.transform((text) => [text]), z.array(name).min(1)]).optional(),
});
const effect = z.number().positive();

export const change = z.strictObject({
  drop: z.union([name.transform((id) => [id]), z.array(name).min(1)]).optional(),
  swap: z
    .record(z.string(), z.union([name.transform((use) => ({ use })), z.looseObject({})]))
    .optional(),
  set: z
    .record(
      z.string(),
      z.unknown().refine((value) => value !== undefined, 'has no value'),
    )
    .optional(),
  preset: z.union([name, z.looseObject({})]).optional(),
});

export const limits = z.strictObject({
  seconds: z.number().positive().max(MOST_SECONDS).optional(),
  megabytes: z.number().positive().optional(),
});

export const study = z.strictObject({
  name: fileName.optional(),
  base: z.union([name, z.looseObject({})]),
  factors: z.record(z.string(), z.looseObject({})).default({}),
  design: z
    .union([
      z.enum(['one-at-a-time', 'grid']),
      z.record(z.string(), z.record(z.string(), z.union([name, z.literal(true)]))),
    ])
    .default('one-at-a-time'),
  seeds,
  primary: metric,
  metrics: z.array(metric).default([]),
  contrasts: z.record(name, z.array(contrast).min(1)).default({}),
  smallestEffect: z.union([effect, z.record(name, effect)]).optional(),
  test: z.enum(['after-all', 'after-each-trial']).default('after-all'),
  tune: z
    .strictObject({
      trials: many,
      space: z.record(z.string(), range).refine((r) => Object.keys(r).length > 0, 'is empty'),
      seeds: seeds.default(1),
      epochs: count.optional(),
      share: z.number().positive().optional(),
    })
    .refine(({ epochs, share }) => epochs === undefined || share === undefined, {
      message: 'epochs and share exclude each other',
    })
    .optional(),
  resample: z
    .string()
    .regex(/^data\.train\.options\.[^.]+$/, 'must be data.train.options.<option>')
    .optional(),
  equalCompute: z.union([z.boolean(), z.enum(['seconds', 'cpuSeconds'])]).default(false),
  limits: limits.default({}),
  dir: name.optional(),
});

/** A change, its short forms written out. */
export type CheckedChange = z.output<typeof change>;
/** A study, its defaults filled in. */
export type CheckedStudy = z.output<typeof study>;
/** A range of tuning, its defaults filled in. */
export type CheckedRange = z.output<typeof range>;
