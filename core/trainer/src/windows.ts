import { disposeRaw, keyedStream } from '@espalier/data';
import type { RawBatch, Source } from '@espalier/data';
import type { Run } from './run.js';

/** Groups the source's batches into windows of `accumulate` micro-batches; the last may be short. */
export async function* windows(run: Run, train: Source): AsyncGenerator<RawBatch[]> {
  const { clock, seed, accumulate } = run;
  const stream = keyedStream(seed, 'data', clock.epoch);
  let window: RawBatch[] = [];
  try {
    for await (const raw of train.iterate({ epoch: clock.epoch, skip: clock.batch, stream })) {
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
