import { fileURLToPath } from 'node:url';
// Runs the study beside this file in the folder that is its argument, each trial in a process or, with
// `in-process`, all in this one; prints a line per event.
import { loadStudy, localExecutor, runStudy } from '@espalier/study';
import { inProcess } from './in-process.mjs';

const [dir, where] = process.argv.slice(2);
const study = await loadStudy(fileURLToPath(new URL('study.mjs', import.meta.url)));
const print = (line) => process.stdout.write(`${line}\n`);
const { status, failed } = await runStudy(
  { ...study, dir },
  {
    executor: where === 'in-process' ? inProcess : localExecutor({ concurrency: 3 }),
    crashes: 1000, // a trial that is killed over and over is not to be given up here
    onEvent: ({ type, trial, ...rest }) => print(`${type} ${trial?.id ?? rest.stage}`),
  },
);
print(`outcome ${status} ${failed.length}`);
