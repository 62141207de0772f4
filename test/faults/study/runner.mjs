// Runs the study beside this file in the folder that is its argument; prints a line per event.
import { loadStudy, localExecutor, runStudy } from '@espalier/study';
import { fileURLToPath } from 'node:url';

const study = await loadStudy(fileURLToPath(new URL('study.mjs', import.meta.url)));
const print = (line) => process.stdout.write(`${line}\n`);
const { status, failed } = await runStudy(
  { ...study, dir: process.argv[2] },
  {
    executor: localExecutor({ concurrency: 3 }),
    crashes: 1000, // a trial that is killed over and over is not to be given up here
    onEvent: ({ type, trial, ...rest }) => print(`${type} ${trial?.id ?? rest.stage}`),
  },
);
print(`outcome ${status} ${failed.length}`);
