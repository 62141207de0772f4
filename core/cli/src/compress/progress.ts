import type { CompressEvent } from '@espalier/compress';
import { consoleProgress } from '@espalier/core/node';

/** What the user sees on standard error while a file is compressed. */
export interface Progress {
  print(message: string): void;
  readonly onEvent: (event: CompressEvent) => void;
}

/** Prints stages in lines of their own; on a terminal, parts of a stage in one line that changes; elsewhere each kind of part once. */
export function showProgress(quiet: boolean): Progress {
  const { stderr } = process;
  const show = consoleProgress();
  const clear = () => stderr.isTTY && stderr.write('\r\x1b[K');
  const print = (message: string) => {
    clear();
    show.message(message);
  };
  let last = '';
  const showPart = ({ what, done, total }: Extract<CompressEvent, { type: 'progress' }>) => {
    clear();
    if (stderr.isTTY) stderr.write(`  ${what} ${done}/${total}`);
    else if (what !== last) print(`  ${what} (${done}/${total})`);
    last = what;
  };
  return {
    print: quiet ? () => undefined : print,
    onEvent(event) {
      if (event.type === 'warning') print(`warning: ${event.message}`);
      else if (quiet) return;
      else if (event.type === 'progress') showPart(event);
      else print(describeEvent(event));
    },
  };
}

function describeEvent(
  event: Exclude<CompressEvent, { readonly type: 'warning' | 'progress' }>,
): string {
  if (event.type === 'stage-start') return `${event.stage} …`;
  if (event.type === 'stage-end') return `${event.stage}: ${event.seconds.toFixed(1)} s`;
  const percent = (100 * (event.miss - 1)).toPrecision(2);
  return `The result misses the target by ${percent} %. Compressing again.`;
}
