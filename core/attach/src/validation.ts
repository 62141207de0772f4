import type { RawBatch, Source } from '@espalier/core';
import type { DatasetOfBatches } from './compiled-model.js';
import type { ToRaw } from './fit-batches.js';
import type { RowBatches } from './rows.js';
import type { Training } from './training.js';

/** Numbers of plugins on the validation data of a fit, which tfjs does not ask them for. */
export type Validate = () => Promise<Readonly<Record<string, number>>>;

/** Evaluates by the session where a plugin adds metrics to evaluations; else there is nothing to add. */
export function makeValidation(
  { session, losses }: Training,
  source: Source | undefined,
): Validate | undefined {
  const { hooks } = session.inspect();
  const isTapped = hooks.some(({ hook, taps }) => hook === 'evaluate' && taps.length > 0);
  if (!source || !isTapped) return undefined;
  const own = losses.flatMap(({ output }) => {
    const prefix = losses.length === 1 ? '' : `${output}/`;
    return OF_LOSSES.map((name) => prefix + name);
  });
  return async () => {
    const numbers = Object.entries(await session.evaluate(source));
    return Object.fromEntries(numbers.filter(([name]) => !own.includes(name)));
  };
}

/** Numbers that losses give by themselves, and tfjs under names of its own. */
const OF_LOSSES = ['loss', 'accuracy'];

/** Rows in their own order. */
export function readRowSource(rows: RowBatches, toRaw: ToRaw): Source {
  return makeSource(async function* () {
    for (let batch = 0; batch < rows.count; batch++) yield rows.take(batch, toRaw)!;
  });
}

/** The first batches of a dataset, or all. */
export function readDatasetSource(
  dataset: DatasetOfBatches,
  makeRaw: (value: unknown) => Promise<RawBatch>,
  batches = Infinity,
): Source {
  return makeSource(async function* () {
    const iterator = await dataset.iterator();
    for (let batch = 0; batch < batches; batch++) {
      const { value, done } = await iterator.next();
      if (value) yield await makeRaw(value);
      if (done) return;
    }
  });
}

/** No checkpoint holds it. */
function makeSource(iterate: () => AsyncIterable<RawBatch>): Source {
  return { fingerprint: () => Promise.resolve('validation of a fit'), iterate };
}
