import { getModelArtifacts, serveTraining, trainInWorker } from '@espalier/attach/worker';
import type { FitProgress, TrainingTask, TrainingWarning } from '@espalier/attach/worker';
import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const open: MessagePort[] = [];
let tensors: number;
beforeEach(() => {
  tensors = tf.memory().numTensors;
});
afterEach(() => {
  open.splice(0).forEach((port) => port.close());
  expect(tf.memory().numTensors).toBe(tensors);
});

/** Both sides in one thread, with a channel between them. */
function serve<I, O, P>(task: TrainingTask<I, O, P>): MessagePort {
  const { port1, port2 } = new MessageChannel();
  serveTraining(task, port1);
  open.push(port1, port2);
  return port2;
}

/** Fits one dense layer to 8 rows in batches of 2, with these callbacks. */
async function fitTiny(epochs: number, callbacks: tfl.ModelFitArgs['callbacks']) {
  const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 1, inputShape: [3] })] });
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError', metrics: ['mae'] });
  const [x, y] = [tf.ones([8, 3]), tf.zeros([8, 1])];
  try {
    const { epoch } = await model.fit(x, y, { epochs, batchSize: 2, callbacks, verbose: 0 });
    return { model, epochs: epoch.length };
  } catch (error) {
    model.dispose();
    throw error;
  } finally {
    tf.dispose([x, y]);
  }
}

const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail('it must be refused'),
    (error: unknown) => error as EspalierError,
  );

describe('a training', () => {
  const task: TrainingTask<
    { epochs: number },
    { model: tf.io.ModelArtifacts; at: number[] }
  > = async ({ input, report }) => {
    const { model } = await fitTiny(input.epochs, report.callbacks);
    const prediction = tf.tidy(() => model.predict(tf.ones([1, 3])) as tf.Tensor);
    const at = [...(await prediction.data())];
    const artifacts = await getModelArtifacts(model);
    prediction.dispose();
    model.dispose();
    return { model: artifacts, at };
  };

  test('gives the page its model, and reports epochs and the first batch', async () => {
    const seen: FitProgress[] = [];
    const { output, ended } = await trainInWorker<typeof task>(
      serve(task),
      { epochs: 2 },
      { onProgress: (progress) => seen.push(progress) },
    );
    expect(ended).toBe('completed');
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory(output.model));
    const prediction = tf.tidy(() => loaded.predict(tf.ones([1, 3])) as tf.Tensor);
    expect([...(await prediction.data())]).toEqual(output.at);
    tf.dispose(prediction);
    loaded.dispose();

    expect(seen[0]).toMatchObject({
      kind: 'batch',
      epoch: 0,
      epochs: 2,
      batch: 0,
      fraction: 1 / 8,
    });
    const ends = seen.filter(({ kind }) => kind === 'epoch');
    expect(ends).toMatchObject([
      { epoch: 0, epochs: 2, fraction: 0.5 },
      { epoch: 1, epochs: 2, fraction: 1 },
    ]);
    for (const { logs } of seen) {
      expect(Object.keys(logs)).toEqual(['loss', 'mae']);
      expect(Object.values(logs).every(Number.isFinite)).toBe(true);
    }
    expect(ends[1]!.logs['loss']).toBeLessThan(ends[0]!.logs['loss']!);
  });

  test('is one of several on the same worker, but not at the same time', async () => {
    const worker = serve(async ({ input }: { input: number }) => input + 1);
    const first = trainInWorker<TrainingTask<number, number>>(worker, 1);
    const second = await rejection(trainInWorker<TrainingTask<number, number>>(worker, 2));
    expect(second.code).toBe('attach/worker-busy');
    expect(await first).toEqual({ output: 2, ended: 'completed' });
    expect(await trainInWorker<TrainingTask<number, number>>(worker, 3)).toMatchObject({
      output: 4,
    });
  });

  test('copies its input at once, and moves buffers that it is told to', async () => {
    const worker = serve(async ({ input }: { input: { n: number[]; x: Float32Array } }) => [
      ...input.n,
      ...input.x,
    ]);
    const input = { n: [1], x: Float32Array.of(2) };
    const training = trainInWorker<TrainingTask<typeof input, number[]>>(worker, input, {
      transfer: [input.x.buffer],
    });
    input.n[0] = 5;
    expect(input.x.length).toBe(0);
    expect((await training).output).toEqual([1, 2]);
  });

  test('waits for a worker that is not ready yet', async () => {
    const { port1, port2 } = new MessageChannel();
    open.push(port1, port2);
    const training = trainInWorker<TrainingTask<number, number>>(port2, 1);
    serveTraining(async ({ input }: { input: number }) => -input, port1);
    expect((await training).output).toBe(-1);
  });

  test('is refused where the script does not serve trainings', async () => {
    const { port1, port2 } = new MessageChannel();
    open.push(port1, port2);
    const error = await rejection(
      trainInWorker<TrainingTask<number, number>>(port2, 1, { startTimeout: 1 }),
    );
    expect(error.code).toBe('attach/worker-start');
    expect(error.message).toContain('did not call serveTraining within 1 ms');
  });

  test('passes on warnings and what the task reports itself', async () => {
    const warnings: TrainingWarning[] = [];
    const phases: unknown[] = [];
    const phased: TrainingTask<null, void, { kind: 'phase'; name: string }> = async ({
      report,
    }) => {
      report({ kind: 'phase', name: 'data' });
      report.warn({ message: 'slow', plugin: 'exits' });
      report({ kind: 'phase', name: 'fit' });
    };
    await trainInWorker<typeof phased>(serve(phased), null, {
      onProgress: (progress) => progress.kind === 'phase' && phases.push(progress.name),
      onWarning: (warning) => warnings.push(warning),
    });
    expect(phases).toEqual(['data', 'fit']);
    expect(warnings).toEqual([{ message: 'slow', plugin: 'exits' }]);
  });
});

describe('cancel', () => {
  const fit = async ({ report }: Parameters<TrainingTask<null, number>>[0]) => {
    const { model, epochs } = await fitTiny(1000, report.callbacks);
    model.dispose();
    return epochs;
  };

  test('ends a fit after the running step and returns the state so far', async () => {
    const cancel = new AbortController();
    const { output, ended } = await trainInWorker<TrainingTask<null, number>>(serve(fit), null, {
      signal: cancel.signal,
      onProgress: () => cancel.abort(),
    });
    expect(ended).toBe('cancelled');
    expect(output).toBeLessThan(1000);
  });

  test('before the start lets the task see it at its first step', async () => {
    const { output, ended } = await trainInWorker<TrainingTask<null, number>>(serve(fit), null, {
      signal: AbortSignal.abort(),
    });
    expect({ output, ended }).toEqual({ output: 1, ended: 'cancelled' });
  });

  test('by which a task throws is named', async () => {
    const wait = ({ signal }: Parameters<TrainingTask<null, void>>[0]) =>
      new Promise<void>((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    const signal = AbortSignal.abort();
    const error = await rejection(trainInWorker<typeof wait>(serve(wait), null, { signal }));
    expect(error.code).toBe('attach/worker-cancelled');
  });
});

describe('an error', () => {
  const fails = (thrown: unknown) =>
    rejection(
      trainInWorker<TrainingTask<null, void>>(
        serve(async () => {
          throw thrown;
        }),
        null,
      ),
    );

  test('of the framework keeps code, place, text, details and cause, with the stack of the worker', async () => {
    const cause = new RangeError('too far');
    const thrown = new EspalierError(
      'some/code',
      {
        problem: 'rows must be even',
        received: tf.util.makeZerosTypedArray(2, 'float32'),
        fix: 'Pass 2.',
        details: { limit: 2, test: () => true },
        cause,
      },
      { plugin: 'exits', hook: 'loss', step: 3 },
    );
    const error = await fails(thrown);
    expect(error).toBeInstanceOf(EspalierError);
    expect(error.code).toBe('some/code');
    expect(error.place).toEqual({ plugin: 'exits', hook: 'loss', step: 3 });
    expect(error.message).toBe(thrown.message);
    expect(error.parts.details).toEqual({ limit: 2, stack: thrown.stack });
    expect(error.cause).toMatchObject({ name: 'RangeError', message: 'too far' });
  });

  test('of others is named', async () => {
    const thrown = new TypeError('x is not a function');
    const error = await fails(thrown);
    expect(error.code).toBe('attach/worker-threw');
    expect(error.message).toContain('TypeError: x is not a function');
    expect(error.parts.details).toEqual({ name: 'TypeError', stack: thrown.stack });
    expect((await fails('a text')).message).toContain('a text');
  });

  test.each([
    ['a tensor', () => ({ rows: [tf.ones([2])] }), /input\.rows\.0 is a tensor.*\[2\]/],
    ['a function', () => ({ f: () => 1 }), /input cannot be sent/],
  ])('says that %s cannot be sent to a worker', async (_, make, message) => {
    const input: object = make();
    const worker = serve(async (_: { input: object }) => {});
    const error = await rejection(trainInWorker<TrainingTask<object, void>>(worker, input));
    expect(error.code).toBe('attach/worker-clone');
    expect(error.message).toMatch(message);
    tf.dispose(input as tf.TensorContainer);
  });

  test('says what of a result or of progress cannot be sent back', async () => {
    const returns: TrainingTask<null, unknown> = async () => ({ model: { predict: () => 1 } });
    const reports: TrainingTask<null, void, unknown> = async ({ report }) => report(() => 1);
    const [result, progress] = [serve(returns), serve(reports)];
    const first = await rejection(trainInWorker<typeof returns>(result, null));
    expect(first.code).toBe('attach/worker-clone');
    expect(first.message).toMatch(/what the task returned.*getModelArtifacts/);
    const second = await rejection(trainInWorker<typeof reports>(progress, null));
    expect(second.message).toMatch(/the progress cannot be sent/);
  });

  test('names callbacks in an order in which TensorFlow.js does not give them the model', async () => {
    const task: TrainingTask<null, void> = async ({ report }) => {
      await fitTiny(1, [{}, report.callbacks]);
    };
    const error = await rejection(trainInWorker<typeof task>(serve(task), null));
    expect(error.code).toBe('attach/worker-callbacks');
  });

  test('of the port is the end of the worker', async () => {
    const { port1, port2 } = new MessageChannel();
    open.push(port1, port2);
    port1.onmessage = ({ data }: MessageEvent<{ port?: MessagePort }>) => data.port?.close();
    port1.postMessage({ type: 'espalier:ready' });
    const error = await rejection(trainInWorker<TrainingTask<null, void>>(port2, null));
    expect(error.code).toBe('attach/worker-died');
  });
});
