/** Trains the teacher of the study: `node examples/dist/metadistiller/train-teacher.js`; goes on where it stopped. */
import { useBackend } from '@espalier/backend';
import { TEACHER } from './budget.js';
import { chosenDataset } from './datasets.js';
import { teacherSession } from './teacher.js';

const { line } = await useBackend({ prefer: ['tfjs-node-gpu', 'wasm'], threads: 1 });
console.log(line);
const session = await teacherSession({ ...TEACHER, dataset: chosenDataset() });
await session.load();
const started = performance.now();
session.telemetry.on('epoch', ({ epoch, metrics }) => {
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const accuracy = (100 * metrics['val/accuracy']!).toFixed(2);
  console.log(`epoch ${epoch}, ${seconds} s: ${accuracy} % of the validation images`);
});
await session.fit({ epochs: TEACHER.epochs });
await session.dispose();
