import { printable, printableLine } from '@espalier/base';
import progress from 'cli-progress';

/** How progress is shown. */
export interface ConsoleProgressOptions {
  /** Default: standard error. */
  readonly stream?: NodeJS.WriteStream;
  /** Milliseconds between redraws on a terminal; default 100. */
  readonly interval?: number;
  /** Shows the loss terms of an epoch too, on a line of their own. */
  readonly verbose?: boolean;
}

type Numbers = Readonly<Record<string, number>>;

/** Handlers to connect to a run's telemetry; they need no `this` and never throw. */
export interface ConsoleProgress {
  /** A run begins. */
  start(run: { epochs: number; stepsPerEpoch?: number; label?: string }): void;
  /** `epoch` from 0; `step` counts from the first epoch. */
  step(at: {
    /** An epoch, counted from 0, is over. */
    epoch: number;
    step: number;
    stepsPerEpoch?: number;
    terms?: Numbers;
    total?: number;
  }): void;
  epoch(done: { epoch: number; metrics: Numbers }): void;
  /** Prints a line above the bar. */
  message(text: string): void;
  /** Ends the bar, whose timer keeps the process alive: call it however the run ends. */
  stop(): void;
}

const KNOWN = '{head} [{bar}] {percentage}% | {value}/{total} | ETA {eta_formatted} | {terms}';
const UNKNOWN = '{head} | step {value} | {rate} steps/s | {terms}';

/**
 * Shows a run: on a terminal a bar per epoch with ETA and loss terms (a count and a rate where the
 * number of steps is unknown); elsewhere one plain line per epoch, without control codes.
 *
 * @example
 * const show = consoleProgress();
 * session.telemetry.on('start', show.start).on('step', show.step).on('epoch', show.epoch);
 * session.telemetry.on('finish', show.stop);
 */
export function consoleProgress(options: ConsoleProgressOptions = {}): ConsoleProgress {
  const { stream = process.stderr, interval = 100, verbose = false } = options;
  let run: Parameters<ConsoleProgress['start']>[0] = { epochs: 0 };
  let bar: progress.SingleBar | undefined;
  let since = performance.now();
  let first: { step: number; time: number } | undefined;
  if (!silenced.has(stream)) silenced.add(stream.on('error', () => undefined));

  const head = (epoch: number) =>
    `${run.label ? `${printableLine(run.label)} ` : ''}epoch ${epoch + 1}/${Math.max(run.epochs, epoch + 1)}`;
  const stop = () => {
    const ended = bar;
    bar = undefined;
    ended?.stop();
  };
  const print = (text: string) => {
    stop();
    stream.write(`${printable(text)}\n`);
  };
  const draw = (format: string, value: number, total: number, payload: object) => {
    if (bar) return bar.update(value, payload);
    const fps = 1000 / interval;
    bar = new progress.SingleBar({ format, stream, fps, barsize: 24, clearOnComplete: true });
    bar.start(total, value, payload);
  };

  return {
    start: safely((started) => {
      run = started;
      since = performance.now();
      first = undefined;
    }),
    step: safely(({ epoch, step, stepsPerEpoch = run.stepsPerEpoch, terms = {}, total }) => {
      if (!stream.isTTY) return;
      first ??= { step, time: performance.now() };
      const seconds = (performance.now() - first.time) / 1000;
      const rate = step > first.step ? ((step - first.step) / seconds).toFixed(1) : '-';
      const loss = total === undefined ? [] : [list({ loss: total })];
      const shown = [...loss, ...listUnweighted(terms)].join(' | ');
      const payload = { head: head(epoch), terms: shown, rate };
      if (!stepsPerEpoch) return draw(UNKNOWN, step, 0, payload);
      const done = Math.min(step - epoch * stepsPerEpoch, stepsPerEpoch);
      draw(KNOWN, Math.max(done, 0), stepsPerEpoch, payload);
    }),
    epoch: safely(({ epoch, metrics }) => {
      const seconds = (performance.now() - since) / 1000;
      since = performance.now();
      print(`${head(epoch)} | ${seconds.toFixed(1)} s | ${list(lossTerms(metrics, false))}`);
      if (verbose) listUnweighted(lossTerms(metrics)).forEach((text) => print(`  ${text}`));
    }),
    message: safely(print),
    stop: safely(stop),
  };
}

// A closed pipe reports as an `error` event, which would end the process; one listener a stream.
const silenced = new WeakSet<object>();

/** A display is never the training's trouble: what fails is not shown. */
function safely<A extends unknown[]>(show: (...args: A) => void): (...args: A) => void {
  return (...args) => {
    try {
      show(...args);
    } catch {
      return;
    }
  };
}

/** Of an epoch's numbers, the terms of the loss, or all but these. */
function lossTerms(metrics: Numbers, wanted = true): Numbers {
  const kept = Object.entries(metrics).filter(([name]) => name.startsWith('loss/') === wanted);
  return Object.fromEntries(kept);
}

/** Terms as text; none where a single one is the loss itself. */
function listUnweighted(terms: Numbers): readonly string[] {
  return Object.keys(terms).length > 1 ? [`unweighted terms: ${list(terms)}`] : [];
}

function list(numbers: Numbers): string {
  const parts = Object.entries(numbers).map(
    ([name, n]) => `${printableLine(name)} ${Number(n.toPrecision(4))}`,
  );
  return parts.join('  ');
}
