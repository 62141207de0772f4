// Saves a model whose weights are all `first`, then one of `second`; during the second save it kills
// itself at the moment of that number. Moments are before and after each file operation, and in the
// middle of writes.
import * as fs from 'node:fs/promises';
import type { FileOperations } from '@espalier/checkpoint/node';
import { saveArtifact } from '@espalier/formats/node';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

const [dir, ...numbers] = process.argv.slice(2) as [string, ...string[]];
const [first, second, last] = numbers.map(Number) as [number, number, number];
let moment = Infinity;

async function pass(): Promise<void> {
  moment -= 1;
  if (moment >= 0) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined);
}

async function around<T>(work: () => Promise<T>): Promise<T> {
  await pass();
  const result = await work();
  await pass();
  return result;
}

const files: FileOperations = {
  open: (path, flags) => around(() => fs.open(path, flags)),
  write: (file, bytes) =>
    around(async () => {
      await file.write(bytes.subarray(0, bytes.length / 2));
      await pass();
      await file.write(bytes.subarray(bytes.length / 2));
    }),
  fsync: (file) => around(() => file.sync()),
  rename: (from, to) => around(() => fs.rename(from, to)),
};

function constantModel(value: number): LayersModel {
  const kernelInitializer = tfl.initializers.constant({ value });
  return tfl.sequential({
    layers: [tfl.layers.dense({ units: 9, inputShape: [7], kernelInitializer })],
  });
}

async function main(): Promise<void> {
  await tf.setBackend('cpu');
  await saveArtifact(dir, { model: constantModel(first) });
  moment = last;
  await saveArtifact(dir, { model: constantModel(second) }, { files });
}

void main();
