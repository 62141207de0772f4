// Error, bytes and speed of codes; prints the tables of the README.
// Run after a build: node plugins/quantizer/test/measure-cost.mjs
import { useBackend } from '@espalier/backend';
import { createStorage } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { quantize } from '@espalier/plugin-quantizer';
import * as tf from '@tensorflow/tfjs-core';

const [ROWS, COLUMNS, LOOKUPS] = [10_000, 200, 700];
const draw = keyedRng(0, 'measure');
const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
const data = Float32Array.from({ length: ROWS * COLUMNS }, normal);
const matrix = { data, rows: ROWS, columns: COLUMNS };

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
/** CPU time: other work on the machine counts less than in time on the wall. */
function milliseconds(fn, repeats = 15) {
  fn();
  const times = Array.from({ length: repeats }, () => {
    const started = process.cpuUsage();
    fn();
    return process.cpuUsage(started).user / 1000;
  });
  return median(times);
}
const touch = (make) => () => tf.tidy(() => void make());

const ways = [
  { bits: 8 },
  { bits: 4 },
  { bits: 4, granularity: { group: 32 } },
  { bits: 4, scheme: 'asymmetric', granularity: { group: 32 } },
  { codebook: 'nf4', granularity: { group: 32 } },
  { bits: 4, codebook: 'k-means' },
  { bits: 3 },
  { bits: 3, scheme: 'asymmetric' },
  { bits: 3, codebook: 'k-means' },
  { bits: 2 },
  { bits: 2, scheme: 'asymmetric' },
  { bits: 2, codebook: 'k-means' },
];
const bytesOf = ({ weights }) =>
  Object.values(weights).reduce((sum, part) => sum + part.byteLength, 0);

const { line } = await useBackend({ prefer: ['wasm'] });
console.log(`Node ${process.version}, ${line}`);
console.log(`\n${ROWS} × ${COLUMNS} normal numbers, ${LOOKUPS} rows looked up, all rows; CPU ms`);
console.log('| how | dB | bits a number | quantize ms | min-max dB | look-up ms | all ms |');
console.log('| --- | --- | --- | --- | --- | --- | --- |');
const ids = tf.tensor1d(
  Int32Array.from({ length: LOOKUPS }, () => Math.floor(draw() * ROWS)),
  'int32',
);
const dB = ({ error }) => (-20 * Math.log10(error)).toFixed(1);
for (const options of ways) {
  const quantized = quantize(matrix, options);
  const making = milliseconds(() => quantize(matrix, options), 1);
  const { codebook } = options;
  const naive = codebook ? '' : dB(quantize(matrix, { ...options, range: 'min-max' }));
  const parts = Object.entries(quantized.weights).map(([part, of]) => [
    `m_${part}`,
    tf.tensor1d(of),
  ]);
  const weights = new Map(parts);
  const read = (name) => weights.get(name);
  const storage = createStorage('m', [ROWS, COLUMNS], quantized.config);
  const lookUp = milliseconds(touch(() => storage.gather(read, ids)));
  const all = milliseconds(touch(() => storage.slice(read, 0, ROWS)));
  const perNumber = ((8 * bytesOf(quantized)) / data.length).toFixed(2);
  const row = [JSON.stringify(options), dB(quantized), perNumber, making.toFixed(0), naive];
  console.log(`| ${[...row, lookUp.toFixed(2), all.toFixed(1)].join(' | ')} |`);
  weights.forEach((tensor) => tensor.dispose());
}
const float = tf.tensor2d(data, [ROWS, COLUMNS]);
const plain = milliseconds(touch(() => tf.gather(float, ids)));
const copied = milliseconds(touch(() => tf.add(float, 0)));
console.log(`| float32 | | 32 | | | ${plain.toFixed(2)} | ${copied.toFixed(1)} (x + 0) |`);
