import type { Telemetry } from '@espalier/core';
import { consoleProgress } from '@espalier/core/node';

/** What the user sees while a file is compressed; on standard error. */
export interface Progress {
  say(message: string): void;
  /** Says what begins, and does it. */
  stage<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Shows the parts of long work and the warnings of a run. */
  follow(telemetry: Telemetry): void;
}

/** Stages on lines of their own; the parts of one on a line that is written over, on a terminal only. */
export function showProgress(quiet: boolean): Progress {
  const { stderr } = process;
  const show = consoleProgress();
  const clear = () => stderr.isTTY && stderr.write('\r\x1b[K');
  const say = (message: string) => {
    clear();
    show.message(message);
  };
  const tell = quiet ? () => undefined : say;
  return {
    say: tell,
    async stage(name, work) {
      const since = performance.now();
      tell(`${name} …`);
      const result = await work();
      tell(`${name}: ${((performance.now() - since) / 1000).toFixed(1)} s`);
      return result;
    },
    follow(telemetry) {
      telemetry.on('warning', ({ message }) => say(`warning: ${message}`));
      if (quiet) return;
      telemetry.on('progress', ({ what, done, total }) => {
        clear();
        if (stderr.isTTY) stderr.write(`  ${what} ${done}/${total}`);
        else if (what.endsWith('factorised')) tell(`  ${what} (${done}/${total})`);
      });
    },
  };
}
