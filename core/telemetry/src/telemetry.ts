import { EventEmitter } from 'eventemitter3';

/** Everything a run reports. Events observe: removing every listener changes no result. */
export interface TelemetryEvents {
  /** A fit begins; `stepsPerEpoch` where the source knows it. */
  start: {
    readonly epochs: number; /**
     * An epoch is over: means of loss terms, and metrics of the validation.
     */
    readonly epoch: number;
    readonly stepsPerEpoch?: number;
  };
  /** An epoch begins; epochs count from 0. */
  epochStart: { readonly epoch: number };
  /** At log intervals: the loss of this step, its terms, unweighted, and the metrics of plugins. */
  step: {
    readonly epoch: number;
    readonly step: number;
    readonly total: number;
    readonly terms: Readonly<Record<string, number>>;
    readonly metrics?: Readonly<Record<string, number>>;
  };
  epoch: { readonly epoch: number; readonly metrics: Readonly<Record<string, number>> };
  /** A stage of the run begins, or goes on in a resumed run; `index` counts from 0. */
  stage: {
    readonly index: number;
    readonly count: number;
    readonly epochs?: number;
    readonly transform?: readonly string[];
  };
  /** A transform of the run's stages is done, with the validation's numbers after it. */
  transform: {
    readonly plugins: readonly string[];
    readonly metrics: Readonly<Record<string, number>>;
  };
  /** A checkpoint is written; `name` is that in the store. */
  checkpoint: { readonly name: string; readonly step: number };
  /** Part of something long, such as a transform, is done. */
  progress: {
    readonly plugin: string;
    readonly what: string;
    readonly done: number;
    readonly total: number;
  };
  /** A plugin says something to know, such as a confusion matrix; `data` is plain JSON. */
  report: { readonly plugin: string; readonly what: string; readonly data: unknown };
  /** Something the user should know; `plugin` when it comes from one. */
  warning: { readonly message: string; readonly plugin?: string };
  /**
   * `status`: completed, stopped, aborted or failed; `reason` says why where it is not completed.
   */
  finish: { readonly status: string; readonly reason?: string };
}

/** The name of an event. */
export type TelemetryEvent = keyof TelemetryEvents;

/** A run that nobody listens to must not fill the memory. */
const MOST_UNHEARD = 100;

type Listener<E extends TelemetryEvent> = (data: TelemetryEvents[E]) => void;

/**
 * The run's event emitter (eventemitter3), made safe: a listener that throws is reported as a
 * `warning` and never reaches the trainer. Warnings wait for their first listener.
 *
 * @example
 * session.telemetry.on('epoch', ({ epoch, metrics }) => console.log(epoch, metrics));
 */
export class Telemetry {
  readonly #emitter = new EventEmitter();
  readonly #wrapped = new Map<unknown, (data: unknown) => void>();
  /** Warnings that nobody has heard yet: plugins warn before a session can be listened to. */
  readonly #unheard: TelemetryEvents['warning'][] = [];

  /**
   * Adds a listener. Warnings from before the first listener for `warning` are passed to it at once.
   */
  on<E extends TelemetryEvent>(event: E, listener: Listener<E>): this {
    const guardedListener = (data: unknown) =>
      this.#guard(event, listener as (data: unknown) => void, data);
    this.#wrapped.set(listener, guardedListener);
    this.#emitter.on(event, guardedListener);
    if (event === 'warning') this.#unheard.splice(0).forEach(guardedListener);
    return this;
  }

  /** Removes a listener. */
  off<E extends TelemetryEvent>(event: E, listener: Listener<E>): this {
    this.#emitter.off(event, this.#wrapped.get(listener));
    this.#wrapped.delete(listener);
    return this;
  }

  /** Removes every listener of every event. */
  removeAllListeners(): void {
    this.#emitter.removeAllListeners();
    this.#wrapped.clear();
  }

  /** Calls the listeners of an event, in the order in which they were added. */
  emit<E extends TelemetryEvent>(event: E, data: TelemetryEvents[E]): void {
    const heard = this.#emitter.emit(event, data);
    if (heard || event !== 'warning' || this.#unheard.length >= MOST_UNHEARD) return;
    this.#unheard.push(data as TelemetryEvents['warning']);
  }

  #guard(event: TelemetryEvent, listener: (data: unknown) => void, data: unknown): void {
    try {
      listener(data);
    } catch (error) {
      const message = `a listener of '${event}' threw: ${error instanceof Error ? error.message : String(error)}`;
      if (event !== 'warning') this.emit('warning', { message });
    }
  }
}
