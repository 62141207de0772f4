import { z } from 'zod';

/** NaN and infinities are results too: a run that diverged. */
const anyNumber = z.custom<number>((value) => typeof value === 'number', 'expected a number');
const amount = z.number().nonnegative();
const count = z.int().nonnegative();
const metrics = z.record(z.string(), anyNumber);
const texts = z.array(z.string());

/** Part of a path: a folder of `trials/` has this name. */
export const id = z.string().regex(/^[\w-]{1,64}$/, 'expected letters and digits');
export const data = z.looseObject({ train: z.string(), validation: z.string() });
export const budget = z.looseObject({
  epochs: amount,
  batchSize: amount.nullable(),
  accumulate: amount,
});
export const backend = z.looseObject({
  name: z.string(),
  package: z.string(),
  version: z.string(),
  simd: z.boolean(),
  threads: amount,
  device: z.string().nullable(),
  line: z.string(),
});

export const result = z.looseObject({
  metrics,
  history: z.array(z.looseObject({ epoch: count, metrics })),
  cost: z.looseObject({
    seconds: amount,
    cpuSeconds: amount.nullish(),
    peakMemory: amount,
    modelBytes: amount,
    macs: amount.nullable(),
  }),
  uncounted: texts.optional(),
  untransformed: texts.optional(),
  test: z.looseObject({ data: z.string(), metrics }).optional(),
});

export const trial = z
  .looseObject({
    id,
    row: z.string(),
    seed: z.int(),
    kind: z.enum(['main', 'tuning']),
    sets: texts,
    budget,
    data,
    backend,
    attempts: count,
    ended: z.string(),
    environment: z.string().optional(),
    result: result.optional(),
    failure: z.looseObject({ code: z.string(), message: z.string() }).optional(),
  })
  .refine((one) => 'result' in one !== 'failure' in one, 'expected a result or a failure');

export const test = z.looseObject({
  id,
  data: z.string(),
  metrics,
  sealed: z.literal(true).optional(),
});

export const reading = z.looseObject({ at: z.string(), trials: count, of: z.string() });

export const environment = z.looseObject({
  commit: z.looseObject({ hash: z.string(), dirty: z.boolean() }).nullable(),
  espalier: z.string(),
  node: z.string(),
  backend: z.string(),
  machine: z.string(),
});

/** What the process of a trial says at its end; a forged or damaged end fits none. */
export const end = z.discriminatedUnion('status', [
  z.looseObject({ status: z.literal('done'), result }),
  z.looseObject({ status: z.literal('tested'), metrics }),
  z.looseObject({ status: z.literal('failed'), code: z.string(), message: z.string() }),
  z.looseObject({ status: z.literal('stopped') }),
]);

export const progress = z.looseObject({ epoch: count, epochs: count });

export const history = z
  .looseObject({
    epochs: z.array(count),
    columns: z.record(z.string(), z.array(anyNumber.nullable())),
  })
  .refine(
    ({ epochs, columns }) => Object.values(columns).every((all) => all.length === epochs.length),
    'columns are not as long as the epochs',
  );
