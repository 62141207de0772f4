import { z } from 'zod';
import { backend, budget, data, id } from './record-schemas.js';

const name = z.string();
const seeds = z.array(z.int()).min(1);
const texts = z.array(z.string());
const metric = z.looseObject({ name, direction: z.enum(['max', 'min']) });
const contrast = z.looseObject({ of: name, minus: name, metric: name });

const row = z.looseObject({
  name,
  kind: z.enum(['base', 'row', 'equal-compute']),
  sets: texts,
  budget,
  data,
  diff: texts,
  modules: texts,
  hash: z.string(),
  definition: z.string(),
  trials: z.array(z.looseObject({ id, seed: z.int(), data })),
});

const tuning = z.looseObject({
  row: name,
  epochs: z.number(),
  seeds: z.array(z.int()),
  draws: z.array(z.looseObject({ sets: texts, trials: z.array(z.looseObject({ id })) })),
});

/** A plan whose parts fit together: a report reads them without another look. */
export const plan = z
  .looseObject({
    name,
    definition: z.looseObject({ dir: z.string().optional() }),
    seeds,
    metrics: z.array(metric).min(1),
    contrasts: z.array(z.looseObject({ name, contrasts: z.array(contrast) })),
    smallestEffects: z.record(z.string(), z.number()),
    tries: z.int().nonnegative(),
    resample: z.string().optional(),
    backend,
    versions: z.looseObject({ tfjs: z.string(), node: z.string() }),
    files: z.record(z.string(), z.string()),
    manifest: z.looseObject({}),
    planned: z.array(row).min(1),
    tuning: z.array(tuning),
    rows: z.array(row).min(1),
    settled: z.boolean(),
  })
  .refine(hasAllSeeds, 'rows have other seeds than the study')
  .refine(hasKnownMetrics, 'contrasts have metrics that the study does not have')
  .refine(hasKnownRows, 'the tuning is of rows that the study does not have');

interface Parts {
  readonly seeds: readonly number[];
  readonly metrics: readonly { readonly name: string }[];
  readonly contrasts: readonly {
    readonly contrasts: readonly { readonly metric: string }[];
  }[];
  readonly rows: readonly {
    readonly name: string;
    readonly trials: readonly { readonly seed: number }[];
  }[];
  readonly tuning: readonly { readonly row: string }[];
}

function hasAllSeeds({ seeds: own, rows }: Parts): boolean {
  const whole = own.join();
  return rows.every(({ trials }) => trials.map(({ seed }) => seed).join() === whole);
}

function hasKnownMetrics({ metrics, contrasts }: Parts): boolean {
  const known = new Set(metrics.map((each) => each.name));
  return contrasts.every(({ contrasts: all }) => all.every((each) => known.has(each.metric)));
}

function hasKnownRows({ rows, tuning: tuned }: Parts): boolean {
  const known = new Set(rows.map((each) => each.name));
  return tuned.every((each) => known.has(each.row));
}
