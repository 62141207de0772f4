import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { EspalierError, keyedRng } from '@espalier/core';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { damageFiles } from './damage.js';
import type { Reader, Sample } from './reader.js';
import { makeReader } from './readers/index.js';
import type { Failure, Work } from './run-reader.js';

const { reader: name, seed, begin, end, progress } = workerData as Work;
const counters = new Int32Array(progress);

/** The case of a number: first those found earlier, then damaged samples. */
async function makeCase({ found, samples, damage }: Reader, i: number): Promise<Sample> {
  if (i < found.length) return found[i]!;
  const draw = keyedRng(seed, 'fuzz', name, i);
  const sample = samples[i % samples.length]!;
  return damage ? damage(sample, draw) : damageFiles(sample, draw);
}

async function lay(folder: string, { files }: Sample): Promise<void> {
  for (const [file, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), bytes);
  }
}

/** Why a case failed; nothing where it was read or refused as it should be. */
async function runCase(
  reader: Reader,
  folder: string,
  sample: Sample,
): Promise<Failure['kind'] | undefined> {
  const before = tf.memory().numTensors;
  try {
    await reader.read(folder, sample);
    Atomics.add(counters, 1, 1);
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    Atomics.add(counters, 2, 1);
  }
  return tf.memory().numTensors === before ? undefined : 'leak';
}

function tell(index: number, sample: string, kind: Failure['kind'], said = ''): void {
  parentPort!.postMessage({ index, sample, kind, said } satisfies Failure);
}

await tf.setBackend('cpu');
const reader = await makeReader(name);
const root = await mkdtemp(join(tmpdir(), 'espalier-fuzz-'));
for (let i = begin; i < end; i++) {
  Atomics.store(counters, 0, i);
  const sample = await makeCase(reader, i);
  const folder = join(root, String(i));
  await mkdir(folder);
  await lay(folder, sample);
  try {
    const kind = await runCase(reader, folder, sample);
    if (kind) tell(i, sample.name, kind);
  } catch (error) {
    tell(i, sample.name, 'raw', error instanceof Error ? error.stack : String(error));
  }
  await rm(folder, { recursive: true });
}
await rm(root, { recursive: true });
