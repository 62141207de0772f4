import { keyedRng } from '@espalier/base';
import { disposeRaw } from '@espalier/data';
import type { RawBatch, Source } from '@espalier/data';
import type { Run } from './run.js';

/** The micro-batches of one step and, where a plugin looks ahead, the first of the next. */
export interface Window {
  readonly raw: readonly RawBatch[];
  readonly next?: RawBatch;
}

/** The windows of what is left of the epoch. Whoever takes one disposes it. */
export async function* windows(run: Run, train: Source): AsyncGenerator<Window> {
  if (run.lookAhead) return yield* withNext(grouped(run, train));
  for await (const raw of grouped(run, train)) yield { raw };
}

async function* withNext(windows: AsyncGenerator<RawBatch[]>): AsyncGenerator<Window> {
  let raw: RawBatch[] = [];
  try {
    for await (const following of windows) {
      const window = raw;
      raw = following;
      if (window.length > 0) yield { raw: window, next: following[0]! };
    }
    const last = raw;
    raw = [];
    if (last.length > 0) yield { raw: last };
  } finally {
    raw.forEach(disposeRaw);
  }
}

/** Groups the source's batches into windows of `accumulate` micro-batches; the last may be short. */
async function* grouped(run: Run, train: Source): AsyncGenerator<RawBatch[]> {
  const { clock, seed, accumulate } = run;
  const stream = keyedRng(seed, 'data', clock.epoch);
  let window: RawBatch[] = [];
  try {
    for await (const raw of train.iterate({
      epoch: clock.epoch,
      skip: clock.batchesInEpoch,
      stream,
    })) {
      window.push(raw);
      if (window.length < accumulate) continue;
      const full = window;
      window = [];
      yield full;
    }
    const rest = window;
    window = [];
    if (rest.length > 0) yield rest;
  } finally {
    window.forEach(disposeRaw);
  }
}
