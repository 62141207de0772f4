import { disposeRaw, keyedRng } from '@espalier/core';
import type { RawBatch, Session, Source } from '@espalier/core';

/** Trains on a source until an epoch as `session.fit` does with `seed: 0`, by a loop of one's own. */
export async function trainInOwnLoop(
  session: Session,
  train: Source,
  untilEpoch: number,
): Promise<void> {
  while (session.clock.epoch < untilEpoch) {
    await session.beginEpoch();
    await takeSteps(session, train);
    await session.endEpoch();
  }
  await session.endFit();
}

async function takeSteps(session: Session, train: Source): Promise<void> {
  const { epoch, batchesInEpoch: skip } = session.clock;
  const batches: RawBatch[] = [];
  const stream = keyedRng(0, 'data', epoch);
  for await (const batch of train.iterate({ epoch, skip, stream })) batches.push(batch);
  try {
    for (const [i, batch] of batches.entries()) {
      await session.step(batch, { next: batches[i + 1], inEpoch: true });
    }
  } finally {
    batches.forEach(disposeRaw);
  }
}
