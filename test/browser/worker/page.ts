import '@tensorflow/tfjs-backend-cpu';
import { attach } from '@espalier/attach';
import { trainInWorker } from '@espalier/attach/worker';
import type { FitProgress, TrainInWorkerOptions } from '@espalier/attach/worker';
import { EspalierError } from '@espalier/core';
import { byot } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { compileTiny, makePoints, predictOne } from './network.js';
import type { Input, Task } from './task.js';

const startWorker = () =>
  new Worker(new URL('./train.worker.js', import.meta.url), { type: 'module' });

const cpu: Input = { epochs: 3, backend: { prefer: 'cpu' } };

/** What became of a training in a worker. */
export type Trained = Awaited<ReturnType<typeof trainInWorkerToEnd>>;

/** What became of one in the page. */
export type TrainedInPage = Awaited<ReturnType<typeof trainInPage>>;

/** A training to its end, and what its model says in the page. */
async function trainInWorkerToEnd(input: Partial<Input>) {
  const progress: FitProgress[] = [];
  const warnings: string[] = [];
  const worker = startWorker();
  const { output, ended } = await trainInWorker<Task>(
    worker,
    { ...cpu, ...input },
    {
      onProgress: (each) => progress.push(each),
      onWarning: ({ message }) => warnings.push(message),
    },
  );
  worker.terminate();
  const { model: artifacts, ...rest } = output;
  const model = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
  await tf.setBackend('cpu');
  return { ...rest, ended, progress, warnings, inPage: predictOne(model) };
}

/** The same training in the page itself. */
async function trainInPage() {
  await tf.setBackend('cpu');
  const model = compileTiny();
  const run = await attach(model, byot({ at: ['first', 'second'], branch: 'linear' }));
  const { x, y } = makePoints();
  const { history } = await model.fit(x, y, { epochs: 3, batchSize: 8, shuffle: false });
  await run.detach();
  return { losses: history['loss'] as number[], at: predictOne(model) };
}

/** A training that only ends because the page has drawn that many frames meanwhile, and cancels it. */
async function cancelAfterFrames(frames: number) {
  const worker = startWorker();
  const cancel = new AbortController();
  const frame = (left: number) => {
    if (left === 0) cancel.abort();
    else requestAnimationFrame(() => frame(left - 1));
  };
  let started = false;
  const start = () => {
    if (!started) frame(frames);
    started = true;
  };
  const { output, ended } = await trainInWorker<Task>(
    worker,
    { ...cpu, epochs: 1e6 },
    {
      onProgress: start,
      signal: cancel.signal,
    },
  );
  worker.terminate();
  return { ended, epochs: output.epochs };
}

/** The message of the error with which a training ends. */
async function refusal(
  worker: Worker,
  input: Partial<Input> = {},
  options: TrainInWorkerOptions = {},
): Promise<string> {
  try {
    await trainInWorker<Task>(worker, { ...cpu, epochs: 1e6, ...input }, options);
    return 'none';
  } catch (error) {
    if (error instanceof EspalierError) return error.message;
    throw error;
  }
}

/** A worker that the page ends when it has heard of the training. */
function endByPage() {
  const worker = startWorker();
  return refusal(worker, {}, { onProgress: () => worker.terminate() });
}

/** A worker whose script is at an address. */
const startAt = (address: string, options?: TrainInWorkerOptions) =>
  refusal(new Worker(address, { type: 'module' }), {}, options);

/** With which errors trainings in workers end that do not start, or end before the training. */
const watchWorkersEnd = async () => ({
  byPage: await endByPage(),
  byItself: await refusal(startWorker(), { fate: 'close' }),
  missing: await startAt('/missing.js'),
  badSyntax: await startAt('/bad-syntax.js'),
  throws: await startAt('/throws.js'),
  silent: await startAt('/silent.js', { startTimeout: 1 }),
});

Object.assign(globalThis, {
  trainInWorkerToEnd,
  trainInPage,
  cancelAfterFrames,
  watchWorkersEnd,
});
