import { readFile } from 'node:fs/promises';
import { useBackend } from '@espalier/backend';
import type { Matrix } from '@espalier/compression';
import { openMatrices, writeNpy } from '@espalier/formats/node';
import { OURS } from './embeddings-ours.js';
import { HEADER_BYTES } from './embeddings/methods.js';
import type { Job } from './embeddings/run-row.js';

// One row of ours in embeddings.ts: node embeddings-child.js '{"matrix": …, "method": …, …}'; as peers.py.
const job = JSON.parse(process.argv[2]!) as Job;
const method = OURS.find(({ name }) => name === job.method)!;
await useBackend({ prefer: ['wasm'], threads: 1 });
const matrix = await readMatrix(job.matrix);
const counts =
  job.counts === null
    ? undefined
    : Float64Array.from(JSON.parse(await readFile(job.counts, 'utf8')) as number[]);
const base = peak();
const start = process.cpuUsage();
const { bytes, decode } = await method.compress({ matrix, counts, setting: job.setting });
const seconds = secondsSince(start);
const highest = peak();
const decoding = process.cpuUsage();
const { data, rows, columns } = decode();
const decodeSeconds = secondsSince(decoding);
await writeNpy(job.decoded, {
  name: 'decoded',
  shape: [rows, columns],
  readRows: async (begin, end) => data.subarray(begin * columns, end * columns) as Float32Array,
});
console.log(
  JSON.stringify({ bytes: bytes + HEADER_BYTES, seconds, decodeSeconds, base, peak: highest }),
);
process.exit(); // threads keep the process alive

/** Some rows at a time, so that what is read does not count twice. */
async function readMatrix(path: string): Promise<Matrix> {
  const file = await openMatrices(path);
  const [tensor] = file.tensors.values();
  const [rows, columns] = tensor!.shape as [number, number];
  const data = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 4096) {
    data.set(await tensor!.readRows(row, Math.min(rows, row + 4096)), row * columns);
  }
  await file.close();
  return { data, rows, columns };
}

/** Largest resident set of this process up to now, in MiB. */
function peak(): number {
  return process.resourceUsage().maxRSS / 1024;
}

function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
