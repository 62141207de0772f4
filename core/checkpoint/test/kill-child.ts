// Saves steps 1 and 2 into a folder; while saving step 2 it kills itself at the moment named.
import * as fs from 'node:fs/promises';
import { saveCheckpoint } from '@espalier/checkpoint';
import { fileStore } from '@espalier/checkpoint/node';
import type { FileOperations } from '@espalier/checkpoint/node';

const [dir, moment] = process.argv.slice(2) as [string, string];
let armed = false;

async function die(at: string): Promise<void> {
  if (!armed || moment !== at) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined);
}

const files: Partial<FileOperations> = {
  async write(file, bytes) {
    await file.write(bytes.subarray(0, bytes.length / 2));
    await die('in the middle of the temporary write');
    await file.write(bytes.subarray(bytes.length / 2));
    await die('after the temporary write');
  },
  async fsync(file) {
    if ((await file.stat()).isFile()) await die('before fsync');
    await file.sync();
  },
  async rename(from, to) {
    await die('before the rename');
    await fs.rename(from, to);
    await die('after the rename');
  },
};

async function main(): Promise<void> {
  const store = fileStore(dir, { files });
  for (const step of [1, 2]) {
    armed = step === 2;
    const data = new Float32Array(1000).fill(step);
    const tensors = new Map([['w', { dtype: 'F32', shape: [1000], data } as const]]);
    await saveCheckpoint(store, { manifest: { step }, tensors }, { step });
  }
}

void main();
