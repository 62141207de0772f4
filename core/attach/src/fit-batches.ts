import { disposeRaw } from '@espalier/core';
import type { RawBatch } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { DatasetOfBatches, DatasetStep } from './compiled-model.js';
import type { RowBatches } from './rows.js';
import type { FitBatches } from './step-callback.js';

/** Makes the batch of a session from tensors as tfjs lists them. */
export type ToRaw = (data: readonly Tensor[]) => RawBatch;

/** Batches of arrays; the next one is taken once, when it is first asked for. */
export function readRows(
  rows: RowBatches,
  toRaw: ToRaw,
  shuffle: ((epoch: number) => void) | undefined,
): FitBatches {
  let ahead: { readonly batch: number; readonly raw: RawBatch } | undefined;
  let last = -1;
  const dispose = () => {
    if (ahead) disposeRaw(ahead.raw);
    ahead = undefined;
  };
  return {
    beginEpoch(epoch) {
      dispose();
      shuffle?.(epoch);
    },
    async take(batch) {
      const raw = ahead?.batch === batch ? ahead.raw : rows.take(batch, toRaw)!;
      ahead = undefined;
      last = batch;
      return raw;
    },
    peek() {
      const raw = rows.take(last + 1, toRaw);
      ahead = raw && { batch: last + 1, raw };
      return raw;
    },
    dispose,
  };
}

interface DatasetReading {
  readonly looksAhead: boolean;
  /** How many batches of the dataset a checkpoint has behind it. */
  skip(): number;
}

/** Batches of a dataset, and the same dataset for the loop of tfjs, which asks it for each batch. */
export function readDataset(
  dataset: DatasetOfBatches,
  makeRaw: (value: unknown) => Promise<RawBatch>,
  { looksAhead, skip }: DatasetReading,
): { readonly batches: FitBatches; readonly dataset: DatasetOfBatches } {
  let current: RawBatch | undefined;
  let ahead: RawBatch | undefined;
  const read = async (source: { next(): Promise<DatasetStep> }) => {
    const step = await source.next();
    return { step, raw: step.value ? await makeRaw(step.value) : undefined };
  };
  const iterator = async () => {
    const source = await dataset.iterator();
    await skipBatches(source, skip());
    let upcoming: Awaited<ReturnType<typeof read>> | undefined;
    return {
      async next() {
        const { step, raw } = upcoming ?? (await read(source));
        upcoming = looksAhead && !step.done ? await read(source) : undefined;
        [current, ahead] = [raw, upcoming?.raw];
        return step;
      },
    };
  };
  return {
    dataset: { ...(dataset.size !== undefined && { size: dataset.size }), iterator },
    batches: {
      beginEpoch: () => undefined,
      take: () => Promise.resolve(current!),
      peek: () => ahead,
      dispose: () => [current, ahead].forEach((raw) => raw && disposeRaw(raw)),
    },
  };
}

async function skipBatches(source: { next(): Promise<DatasetStep> }, count: number): Promise<void> {
  for (let batch = 0; batch < count; batch++) {
    const { value, done } = await source.next();
    if (value) tf.dispose(value as tf.TensorContainer);
    if (done) return;
  }
}
