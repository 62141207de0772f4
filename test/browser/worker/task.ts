import { attach } from '@espalier/attach';
import { getModelArtifacts, serveTraining } from '@espalier/attach/worker';
import type { TrainingContext } from '@espalier/attach/worker';
import { useBackend } from '@espalier/backend';
import type { UseBackendOptions } from '@espalier/backend';
import { byot } from '@espalier/preset-baselines';
import { compileTiny, makePoints, predictOne } from './network.js';
import type { Frames } from './no-frames.js';

/** What the page asks for. */
export interface Input {
  readonly epochs: number;
  readonly backend: UseBackendOptions;
  /** Whether the network gets exits that learn from its last one. */
  readonly preset?: boolean;
  /** What the worker does to itself in the middle of the training. */
  readonly fate?: 'close' | 'throw';
}

const makeTask =
  (frames: Frames) =>
  async ({ input, report }: TrainingContext<Input>) => {
    const { line, warning } = await useBackend(input.backend);
    if (warning) report.warn({ message: warning });
    if (input.fate === 'close') close();
    if (input.fate === 'throw') setTimeout(throwBeside);
    const model = compileTiny();
    const run = await attach(
      model,
      input.preset ? byot({ at: ['first', 'second'], branch: 'linear' }) : undefined,
    );
    const { x, y } = makePoints();
    const { epoch, history } = await model.fit(x, y, {
      epochs: input.epochs,
      batchSize: 8,
      shuffle: false,
      callbacks: report.callbacks,
    });
    return {
      line,
      epochs: epoch.length,
      losses: history['loss'] as number[],
      at: predictOne(model),
      model: await getModelArtifacts(model),
      explained: run.explain(),
      framesAsked: frames.asked,
    };
  };

function throwBeside(): void {
  throw new Error('a bug in another script');
}

/** The type that the page gives to `trainInWorker`. */
export type Task = ReturnType<typeof makeTask>;

/** Serves trainings; their results say how often a frame was asked for. */
export const serve = (frames: Frames): void => serveTraining(makeTask(frames));
