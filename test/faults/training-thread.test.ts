import { Worker } from 'node:worker_threads';
import { trainInWorker } from '@espalier/attach/worker';
import type { TrainingTask } from '@espalier/attach/worker';
import { afterEach, expect, test } from 'vitest';

const threads: Worker[] = [];
afterEach(() => Promise.all(threads.splice(0).map((thread) => thread.terminate())));

/** A training in a thread of Node with a small heap. */
function train(input: string, script = './training-thread.mjs') {
  const resourceLimits = { maxOldGenerationSizeMb: 64 };
  const options = { resourceLimits, execArgv: [] }; // the packages as they are built
  const thread = new Worker(new URL(script, import.meta.url), options);
  threads.push(thread);
  return { thread, training: trainInWorker<TrainingTask<string, string>>(thread, input) };
}

test('a thread of Node trains as a worker of a page does', async () => {
  expect(await train('a').training).toEqual({ output: 'a', ended: 'completed' });
});

test.each([
  ['exit', /exited with code 3.*attach\/worker-died/],
  ['throw', /SyntaxError.*attach\/worker-died/],
  ['fill', /reaching memory limit.*attach\/worker-died/],
])('that a thread ended is named: %s', async (input, message) => {
  await expect(train(input).training).rejects.toThrow(message);
});

test('that the thread was ended, or has no script, is named', async () => {
  const { thread, training } = train('a');
  const named = expect(training).rejects.toThrow(/terminate\(\).*attach\/worker-start/);
  await thread.terminate();
  await named;
  await expect(train('a', './missing.mjs').training).rejects.toThrow(
    /Cannot find module.*attach\/worker-start/,
  );
});
