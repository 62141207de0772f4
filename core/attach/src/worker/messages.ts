import type { PackedError } from './packed-error.js';

/** A warning of a run, as `session.telemetry` reports it. */
export interface TrainingWarning {
  readonly message: string;
  /** Id of the plugin that warns. */
  readonly plugin?: string;
}

/** How a training ended: by itself, or because the page cancelled it. */
export type TrainingEnd = 'completed' | 'cancelled';

/** The page asks the worker whether it serves trainings. */
export const HELLO = 'espalier:hello';

/** The worker says that it serves trainings: when it starts to, and as the answer to {@link HELLO}. */
export interface ReadyMessage {
  readonly type: 'espalier:ready';
  /** Name of a lock that the worker holds as long as it lives, where the browser has locks. */
  readonly lock: string | undefined;
}

export const isReadyMessage = (data: unknown): data is ReadyMessage =>
  (data as ReadyMessage | null)?.type === 'espalier:ready';

/** The page hands a training over; `port` holds its input already, and later its cancellation. */
export interface TrainMessage {
  readonly type: 'espalier:train';
  readonly port: MessagePort;
}

export const isTrainMessage = (data: unknown): data is TrainMessage =>
  (data as TrainMessage | null)?.type === 'espalier:train';

/** From the page to a training. */
export type ToTraining =
  { readonly type: 'input'; readonly input: unknown } | { readonly type: 'cancel' };

/** From a training to the page. */
export type FromTraining =
  | { readonly type: 'progress'; readonly progress: never }
  | { readonly type: 'warning'; readonly warning: TrainingWarning }
  | { readonly type: 'result'; readonly output: unknown; readonly ended: TrainingEnd }
  | { readonly type: 'error'; readonly error: PackedError };
