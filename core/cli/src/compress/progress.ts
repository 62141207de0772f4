import { printableLine } from '@espalier/base';
import type { CompressEvent } from '@espalier/compress';
import { consoleProgress } from '@espalier/core/node';
import { formatDuration } from '../format-duration.js';
import { clearLine, printPartAside } from '../print.js';

/** What the user sees on standard error while a file is compressed. */
export interface Progress {
  say(message: string): void;
  readonly onEvent: (event: CompressEvent) => void;
}

/** Seconds between lines about one part of a stage where there is no terminal. */
const SECONDS = 30;

/** Prints stages in lines of their own; parts of a stage with percent and the time left: on a terminal in one line that changes, elsewhere when one begins and every half minute. */
export function showProgress(quiet: boolean): Progress {
  const { stderr } = process;
  const show = consoleProgress();
  const say = (message: string) => {
    clearLine();
    show.message(message);
  };
  const part = followPart();
  let [last, printed] = ['', 0];
  const showPart = (event: PartEvent) => {
    const text = printableLine(part(event));
    clearLine();
    if (stderr.isTTY) printPartAside(`  ${text}`);
    else if (event.what !== last || performance.now() - printed > 1000 * SECONDS) {
      say(`  ${text}`);
      printed = performance.now();
    }
    last = event.what;
  };
  return {
    say: quiet ? () => undefined : say,
    onEvent(event) {
      if (event.type === 'warning') say(`warning: ${event.message}`);
      else if (quiet) return;
      else if (event.type === 'progress') showPart(event);
      else say(describeEvent(event));
    },
  };
}

type PartEvent = Extract<CompressEvent, { readonly type: 'progress' }>;

/** Parts of work in words, each with the time left by its rate since it began here. */
function followPart(): (event: PartEvent) => string {
  let begun = { what: '', done: 0, time: 0 };
  return ({ what, done, total }) => {
    const now = performance.now() / 1000;
    if (what !== begun.what) begun = { what, done, time: now };
    const rate = (done - begun.done) / (now - begun.time);
    const percent = `${Math.floor((100 * done) / Math.max(total, 1))} %`;
    const left =
      rate > 0 && done < total ? `, about ${formatDuration((total - done) / rate)} left` : '';
    return total > 1 ? `${what}: ${done}/${total}, ${percent}${left}` : what;
  };
}

function describeEvent(
  event: Exclude<CompressEvent, { readonly type: 'warning' | 'progress' }>,
): string {
  if (event.type === 'note') return event.message;
  if (event.type === 'stage-start') return `${event.stage} …`;
  if (event.type === 'stage-end') return `${event.stage}: ${event.seconds.toFixed(1)} s`;
  const percent = (100 * (event.miss - 1)).toPrecision(2);
  return `The result misses the target by ${percent} %. Compressing again.`;
}
