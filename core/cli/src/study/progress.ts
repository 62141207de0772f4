import { printableLine } from '@espalier/base';
import type { StudyEvent } from '@espalier/study';
import progress from 'cli-progress';
import { printAside } from '../print.js';
import { formatNumber } from '../text-columns.js';

/** What the user sees while a study runs; on standard error. */
export interface StudyProgress {
  say(message: string): void;
  readonly follow: (event: StudyEvent) => void;
  stop(): void;
}

/** On a terminal a bar with the trials that run; elsewhere a line for each trial that ends. */
export function showStudyProgress(primary: string, quiet: boolean): StudyProgress {
  const { stderr } = process;
  const running = new Map<string, string>();
  let bar: progress.SingleBar | undefined;
  const stop = () => {
    bar?.stop();
    bar = undefined;
  };
  const say = (message: string) => {
    const total = bar?.getTotal();
    const value = (bar as unknown as { value?: number } | undefined)?.value;
    stop();
    printAside(message);
    if (total !== undefined) bar = describeStart(total, value ?? 0);
  };
  const show = () => bar?.update({ running: [...running.values()].join(', ') });
  let counted = { done: 0, total: 0 };
  const events: { readonly [T in StudyEvent['type']]: (event: EventByType<T>) => void } = {
    stage({ stage, total, done }) {
      stop();
      counted = { done, total };
      say(`${stage}: ${total} trials${done > 0 ? `, ${done} of them done` : ''}`);
      if (stderr.isTTY) bar = describeStart(total, done);
    },
    warning: ({ message }) => say(`warning: ${message}`),
    start({ trial }) {
      running.set(trial.id, nameTrial(trial));
      show();
    },
    progress({ trial, progress: { epoch, epochs } }) {
      running.set(trial.id, `${nameTrial(trial)} ${epoch + 1}/${epochs}`);
      show();
    },
    retry: ({ trial, message }) => say(`${nameTrial(trial)} starts again: ${message}`),
    end({ trial, record }) {
      running.delete(trial.id);
      counted = { ...counted, done: counted.done + 1 };
      bar?.increment();
      show();
      if ('failure' in record) say(`${nameTrial(trial)} failed: ${record.failure.message}`);
      else if (!stderr.isTTY) {
        const { metrics, cost } = record.result;
        const value = metrics[primary];
        const found =
          value === undefined || value === null ? '' : ` ${primary} ${formatNumber(value)},`;
        say(
          `${counted.done}/${counted.total} ${nameTrial(trial)}:${found} ${formatNumber(Math.round(cost.seconds))} s`,
        );
      }
    },
  };
  const follow = <T extends StudyEvent['type']>(event: EventByType<T>) =>
    (events[event.type] as (event: EventByType<T>) => void)(event);
  // A warning is no progress: it is said with --quiet too.
  const warn: StudyProgress['follow'] = (event) => event.type === 'warning' && follow(event);
  return { say, follow: quiet ? warn : (follow as StudyProgress['follow']), stop };
}

type EventByType<T extends StudyEvent['type']> = Extract<StudyEvent, { type: T }>;

function describeStart(total: number, done: number): progress.SingleBar {
  const bar = new progress.SingleBar({
    stream: process.stderr,
    format: '[{bar}] {value}/{total} | ETA {eta_formatted} | {running}',
    etaBuffer: 20,
    hideCursor: true,
  });
  bar.start(total, done, { running: '' });
  return bar;
}

function nameTrial({ row, seed }: { readonly row: string; readonly seed: number }): string {
  return `${printableLine(row)} #${seed}`;
}
