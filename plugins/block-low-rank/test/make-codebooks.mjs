// Codebooks for normal numbers that are coded some at a time; prints src/codes/codebook-data.ts.
// Run after a build, a few minutes: node plugins/block-low-rank/test/make-codebooks.mjs > plugins/block-low-rank/src/codes/codebook-data.ts
import { Buffer } from 'node:buffer';
import { keyedRng } from '@espalier/core';

/** Bits of a number, and numbers that share a code. */
const SHAPES = [
  ...[2, 3, 4, 5, 6, 7, 8].map((count) => [1, count]),
  ...[2, 3, 4].map((count) => [2, count]),
  [3, 2],
  [4, 2],
];
const TRAINED = 120_000;
const TESTED = 400_000;
const ROUNDS = 240;
const STARTS = 2;
/** Numbers are stored as whole multiples of this. */
const UNIT = 1 / 8192;

function drawNormals(count, ...key) {
  const draw = keyedRng('codebooks', ...key);
  const numbers = new Float64Array(count);
  for (let i = 0; i < count; i += 2) {
    const [radius, angle] = [Math.sqrt(-2 * Math.log(1 - draw())), 2 * Math.PI * draw()];
    numbers[i] = radius * Math.cos(angle);
    numbers[i + 1] = radius * Math.sin(angle);
  }
  return numbers;
}

function findNearest(points, at, table, size, count) {
  let [best, least] = [0, Infinity];
  for (let t = 0; t < size; t++) {
    let distance = 0;
    for (let j = 0; j < count && distance < least; j++) {
      distance += (points[at + j] - table[t * count + j]) ** 2;
    }
    if (distance < least) [best, least] = [t, distance];
  }
  return [best, least];
}

/** Lloyd's rounds, from drawn points on. */
function train(points, size, count) {
  const rows = points.length / count;
  const table = points.slice(0, size * count);
  for (let round = 0; round < ROUNDS; round++) {
    const [sums, members] = [new Float64Array(size * count), new Float64Array(size)];
    for (let i = 0; i < rows; i++) {
      const [nearest] = findNearest(points, i * count, table, size, count);
      members[nearest]++;
      for (let j = 0; j < count; j++) sums[nearest * count + j] += points[i * count + j];
    }
    table.forEach((_, at) => {
      const own = members[Math.floor(at / count)];
      if (own > 0) table[at] = sums[at] / own;
    });
  }
  return table.map((value) => Math.round(value / UNIT) * UNIT);
}

function measure(points, table, size, count) {
  let sum = 0;
  for (let at = 0; at < points.length; at += count) {
    sum += findNearest(points, at, table, size, count)[1];
  }
  return sum / points.length;
}

const lines = SHAPES.map(([bits, count]) => {
  const size = 2 ** (bits * count);
  const test = drawNormals(TESTED * count, bits, count, 'test');
  const found = Array.from({ length: STARTS }, (_, start) => {
    const table = train(drawNormals(TRAINED * count, bits, count, start), size, count);
    return { table, distortion: measure(test, table, size, count) };
  });
  const { table, distortion } = found.reduce((a, b) => (b.distortion < a.distortion ? b : a));
  const steps = Int16Array.from(table, (value) => Math.round(value / UNIT));
  const text = Buffer.from(steps.buffer).toString('base64');
  process.stderr.write(`${bits} bits, ${count} numbers: ${distortion.toPrecision(4)}\n`);
  return `  { bits: ${bits}, count: ${count}, distortion: ${distortion.toPrecision(4)}, values: '${text}' },`;
});

process.stdout
  .write(`/** A codebook for numbers with a standard normal distribution that share a code. */
export interface CodebookData {
  /** Bits of a number. */
  readonly bits: number;
  /** Numbers that share a code of \`bits\` · \`count\` bits. */
  readonly count: number;
  /** Mean squared error of a number, measured on others than it was made from. */
  readonly distortion: number;
  /** \`[2^(bits · count), count]\` in 8192nds, int16 with the low byte first, in base64. */
  readonly values: string;
}

/** Made by test/make-codebooks.mjs. */
export const CODEBOOKS: readonly CodebookData[] = [
${lines.join('\n')}
];
`);
