// Bytes, error and speed of pruned matrices; prints the table of the README.
// Run after a build: node plugins/prune/test/measure-cost.mjs
import { useBackend } from '@espalier/backend';
import { createStorage } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { pruneMatrix, sparseBytes } from '@espalier/plugin-prune';
import * as tf from '@tensorflow/tfjs-core';

const [ROWS, COLUMNS, LOOKUPS] = [10_000, 200, 700];
const draw = keyedRng(0, 'measure');
const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
const data = Float32Array.from({ length: ROWS * COLUMNS }, normal);
const matrix = { data, rows: ROWS, columns: COLUMNS };

/** Median CPU time: other work on the machine counts less than in time on the wall. */
function milliseconds(fn, repeats = 15) {
  fn();
  const times = Array.from({ length: repeats }, () => {
    const started = process.cpuUsage();
    fn();
    return process.cpuUsage(started).user / 1000;
  });
  return times.sort((a, b) => a - b)[Math.floor(repeats / 2)];
}
const touch = (make) => () => tf.tidy(() => void make());

const { line } = await useBackend({ prefer: ['wasm'] });
console.log(`Node ${process.version}, ${line}`);
console.log(`\n${ROWS} × ${COLUMNS} normal numbers, ${LOOKUPS} rows looked up, all rows; CPU ms`);
console.log(
  '| ratio | kept | relative error | prune ms | look-up ms | all ms | all and gradient ms |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- |');
const ids = tf.tensor1d(
  Int32Array.from({ length: LOOKUPS }, () => Math.floor(draw() * ROWS)),
  'int32',
);
const shape = [ROWS, COLUMNS];
for (const ratio of [2, 4, 8, 16, 26]) {
  const kept = Math.floor((4 * data.length) / ratio / 4 - sparseBytes(shape, 0) / 4);
  const pruned = pruneMatrix(matrix, kept);
  const weights = new Map(
    Object.entries(pruned.weights).map(([part, of]) => [`m_${part}`, tf.tensor1d(of)]),
  );
  const storage = createStorage('m', shape, { kind: 'sparse', kept });
  const read = (name) => weights.get(name);
  const slopes = tf.grad((values) =>
    tf.sum(storage.slice((name) => (name === 'm_values' ? values : read(name)), 0, ROWS)),
  );
  const row = [
    ratio,
    `${((100 * kept) / data.length).toFixed(1)} %`,
    Math.sqrt(pruned.error / pruned.norm).toFixed(3),
    milliseconds(() => pruneMatrix(matrix, kept), 3).toFixed(0),
    milliseconds(touch(() => storage.gather(read, ids))).toFixed(2),
    milliseconds(touch(() => storage.slice(read, 0, ROWS))).toFixed(1),
    milliseconds(touch(() => slopes(read('m_values')))).toFixed(1),
  ];
  console.log(`| ${row.join(' | ')} |`);
  tf.dispose([...weights.values()]);
}
const float = tf.tensor2d(data, shape);
const plain = milliseconds(touch(() => tf.gather(float, ids)));
const copied = milliseconds(touch(() => tf.add(float, 0)));
console.log(`| float32 | 100 % | 0 | | ${plain.toFixed(2)} | ${copied.toFixed(1)} (x + 0) | |`);
