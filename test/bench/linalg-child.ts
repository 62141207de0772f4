import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { useBackend } from '@espalier/backend';
import { weightedLowRank } from '@espalier/linalg';
import type { LowRank, Matrix } from '@espalier/linalg';

// One contender of linalg.ts: node linalg-child.js <folder> <rows> <columns> <rank> <threads>
const [folder, ...numbers] = process.argv.slice(2);
const [rows, columns, rank, threads] = numbers.map(Number) as [number, number, number, number];
const a: Matrix = { data: floats('matrix'), rows, columns };
const weights = floats('weights');
await useBackend({ prefer: ['wasm'], threads });
let result = await weightedLowRank(a, { rank, weights });
const milliseconds: number[] = [];
for (let i = 0; i < 3; i++) {
  const start = performance.now();
  result = await weightedLowRank(a, { rank, weights });
  milliseconds.push(performance.now() - start);
}
const peak = process.resourceUsage().maxRSS / 1024;
console.log(JSON.stringify({ milliseconds, peak, share: shareLeftOut(result) }));
process.exit(); // threads keep the process alive

function floats(name: string): Float32Array {
  const { buffer } = new Uint8Array(readFileSync(join(folder!, name)));
  return new Float32Array(buffer);
}

/** From the factors themselves, row by row, in float64. */
function shareLeftOut({ u, v }: LowRank): number {
  const sums = { error: 0, total: 0 };
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let approximation = 0;
      for (let k = 0; k < rank; k++) {
        approximation += u.data[i * rank + k]! * v.data[j * rank + k]!;
      }
      const value = a.data[i * columns + j]!;
      sums.error += weights[i]! * (value - approximation) ** 2;
      sums.total += weights[i]! * value ** 2;
    }
  }
  return sums.error / sums.total;
}
