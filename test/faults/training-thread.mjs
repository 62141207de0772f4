// A thread of Node that serves trainings; the input says what becomes of it.
import { parentPort } from 'node:worker_threads';
import { serveTraining } from '@espalier/attach/worker';

const fates = {
  exit: () => process.exit(3),
  throw: () => void Promise.reject(new SyntaxError('a bug')),
  fill: () => {
    const all = [];
    for (;;) all.push(Array.from({ length: 1000 }, (_, i) => i + all.length));
  },
};

serveTraining(async ({ input }) => {
  if (input in fates) await new Promise(fates[input]);
  return input;
}, parentPort);
