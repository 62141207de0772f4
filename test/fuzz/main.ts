/**
 * Damages small files of every kind and reads them: npm run fuzz -- --cases 20000 --seed 7 [--reader artifacts]
 * Exits with 1 where a case ended with an error that is not of Espalier, did not end, or left tensors.
 */
import { parseArgs } from 'node:util';
import { READERS } from './reader-names.js';
import { runReader } from './run-reader.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '0' },
    reader: { type: 'string', multiple: true },
  },
});

const chosen = READERS.filter((name) => values.reader?.includes(name) ?? true);
const [cases, seed] = [Number(values.cases), Number(values.seed)];
for (const reader of chosen) {
  const begin = performance.now();
  const thread = new URL('./worker.js', import.meta.url);
  const { read, refused, failures } = await runReader(thread, { reader, cases, seed });
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  console.log(
    `${reader}: ${read} read, ${refused} refused, ${failures.length} failed, ${seconds} s`,
  );
  for (const { index, sample, kind, said } of failures.slice(0, 20)) {
    console.log(`  ${kind} at case ${index} (${sample}) ${said}`);
  }
  if (failures.length > 0) process.exitCode = 1;
}
