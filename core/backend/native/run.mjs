import { spawnSync } from 'node:child_process';

export const say = (line) => console.log(`setup-native: ${line}`);

/** Runs a command to its end and gives its output; `hint` says what to do if it fails. */
export function run(command, args, { hint, ...options } = {}) {
  const done = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  if (done.status === 0) return done.stdout;
  const tail = `${done.stdout ?? ''}${done.stderr ?? ''}`.trim().split('\n').slice(-15).join('\n');
  const why = done.error?.message ?? tail;
  throw new Error([`${command} ${args.join(' ')} failed.`, hint, why].filter(Boolean).join('\n'));
}

/** Whether a command runs and succeeds. */
export const works = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
