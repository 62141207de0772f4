import { keyedRng } from '@espalier/base';
import { disposeRaw } from '@espalier/data';
import type { RawBatch, Source } from '@espalier/data';
import type { Run } from '../run.js';

/** The micro-batches of one step and, where a plugin looks ahead, the first of the next. */
export interface StepBatches {
  readonly raw: readonly RawBatch[];
  readonly next?: RawBatch;
}

/** The batches of each step that is left of the epoch. Whoever takes them disposes them. */
export async function* iterateSteps(run: Run, train: Source): AsyncGenerator<StepBatches> {
  if (run.lookAhead) return yield* addNext(groupBatches(run, train));
  for await (const raw of groupBatches(run, train)) yield { raw };
}

async function* addNext(steps: AsyncGenerator<RawBatch[]>): AsyncGenerator<StepBatches> {
  let raw: RawBatch[] = [];
  try {
    for await (const following of steps) {
      const previous = raw;
      raw = following;
      if (previous.length > 0) yield { raw: previous, next: following[0]! };
    }
    const last = raw;
    raw = [];
    if (last.length > 0) yield { raw: last };
  } finally {
    raw.forEach(disposeRaw);
  }
}

/** Groups the source's batches by `accumulate`, one group for each step; the last may be shorter. */
async function* groupBatches(run: Run, train: Source): AsyncGenerator<RawBatch[]> {
  const { clock } = run;
  const { seed, accumulate } = run.settings;
  const stream = keyedRng(seed, 'data', clock.epoch);
  let group: RawBatch[] = [];
  try {
    for await (const raw of train.iterate({
      epoch: clock.epoch,
      skip: clock.batchesInEpoch,
      stream,
    })) {
      group.push(raw);
      if (group.length < accumulate) continue;
      const full = group;
      group = [];
      yield full;
    }
    const rest = group;
    group = [];
    if (rest.length > 0) yield rest;
  } finally {
    group.forEach(disposeRaw);
  }
}
