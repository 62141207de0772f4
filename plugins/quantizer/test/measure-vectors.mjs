// Error and CPU time of codes of vectors, beside those of faiss where it is installed; prints the table of the README.
// Run after a build: node plugins/quantizer/test/measure-vectors.mjs MATRIX.npy [product,50,8 …]
// PYTHON names a Python with faiss.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { useBackend } from '@espalier/backend';
import { measureDistortion, quantizeProducts, quantizeResiduals } from '@espalier/plugin-quantizer';

const [file, ...given] = process.argv.slice(2);
const ways =
  given.length > 0
    ? given
    : ['product,50,8', 'product,25,8', 'product,10,8', 'rotated,10,8', 'residual,4,8'];

/** A float32 matrix out of a .npy file, without a copy. */
function readMatrix(path) {
  const bytes = readFileSync(path);
  const start = 10 + bytes.readUInt16LE(8);
  const [, rows, columns] = /\((\d+), (\d+)\)/
    .exec(bytes.toString('latin1', 10, start))
    .map(Number);
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset + start), 0, rows * columns);
  return { data, rows, columns };
}

function toCodec(way) {
  const [kind, count, bits] = [way.split(',')[0], ...way.split(',').slice(1).map(Number)];
  if (kind === 'residual') return { stages: count, bits };
  return { parts: count, bits, rotate: kind === 'rotated' };
}

function compute(matrix, codec) {
  return 'stages' in codec ? quantizeResiduals(matrix, codec) : quantizeProducts(matrix, codec);
}

/** By way: CPU seconds and error of faiss; none where there is no faiss. */
function measureFaiss() {
  const script = fileURLToPath(new URL('measure_vectors.py', import.meta.url));
  const { status, stdout, stderr } = spawnSync(
    process.env.PYTHON ?? 'python3',
    [script, file, ...ways],
    { encoding: 'utf8' },
  );
  if (status !== 0) console.log(`faiss is left out: ${stderr.trim().split('\n').at(-1)}`);
  const lines =
    status === 0
      ? stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : [];
  return new Map(lines.map((line) => [line.way, line]));
}

const matrix = readMatrix(file);
const norm = matrix.data.reduce((sum, x) => sum + x * x, 0) / matrix.rows;
const { line } = await useBackend({ prefer: ['wasm'], threads: 1 });
console.log(`Node ${process.version}, ${line}; ${matrix.rows} × ${matrix.columns}, seed 0`);
const ours = new Map();
for (const way of ways) {
  const started = process.cpuUsage();
  const { error } = await compute(matrix, toCodec(way));
  const { user, system } = process.cpuUsage(started);
  const { plain } = await measureDistortion(matrix, toCodec(way));
  ours.set(way, { error: error ** 2 * norm, seconds: (user + system) / 1e6, plain });
}
const faiss = measureFaiss();
console.log('| codes | error | faiss | ratio | CPU s | faiss | ratio | estimated error |');
console.log('| --- | --: | --: | --: | --: | --: | --: | --: |');
for (const [way, { error, seconds, plain }] of ours) {
  const peer = faiss.get(way);
  const cells = (own, other, digits) =>
    [own, other, other && own / other].map((x, i) => x?.toFixed(i === 2 ? 2 : digits) ?? '');
  const row = [
    ...cells(error, peer?.error, 4),
    ...cells(seconds, peer?.seconds, 1),
    plain.toFixed(4),
  ];
  console.log(`| ${[way, ...row].join(' | ')} |`);
}
