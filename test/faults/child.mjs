// Trains a tiny convolutional network on wasm, going on from the last checkpoint in the folder.
// Arguments: folder, and optionally `<operation>:<before|after>:<n>`: SIGKILL at the n-th such file
// operation of the checkpoint store. Prints a line per step, and at the end a hash of all weights.
import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { useBackend } from '@espalier/backend';
import { adam, createSession, crossEntropy } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import { tinyCnn, tinySource } from '@espalier/testkit';

const [dir, kill = ''] = process.argv.slice(2);
const [operation, moment, nth] = kill.split(':');
const real = {
  write: (file, bytes) => file.writeFile(bytes),
  fsync: (file) => file.sync(),
  rename: fs.rename,
};

function deadly(name) {
  let calls = 0;
  return async (...args) => {
    calls += 1;
    const die = name === operation && calls === Number(nth);
    if (die && moment === 'before') process.kill(process.pid, 'SIGKILL');
    await real[name](...args);
    if (die && moment === 'after') process.kill(process.pid, 'SIGKILL');
  };
}

const files = Object.fromEntries(Object.keys(real).map((name) => [name, deadly(name)]));
const shape = [8, 8, 1];
const session = await createSession({
  backend: await useBackend({ prefer: ['wasm'] }),
  model: tinyCnn,
  loss: crossEntropy(),
  optimizer: adam({ learningRate: 0.01 }),
  train: tinySource({ shape, examples: 40 }),
  validation: tinySource({ shape, seed: 1 }),
  accumulate: 2,
  logInterval: 1,
  seed: 5,
  checkpoint: { store: fileStore(dir, { files }), everySteps: 2 },
});
session.telemetry.on('step', ({ step }) => process.stdout.write(`step ${step}\n`));
session.telemetry.on('warning', ({ message }) => process.stdout.write(`warning ${message}\n`));
await session.load();
await session.fit({ untilEpoch: 12 });
const hash = createHash('sha256');
for (const [path, tensor] of Object.entries(session.parameters()).sort()) {
  hash.update(path).update(new Uint8Array((await tensor.data()).slice().buffer));
}
process.stdout.write(`done ${hash.digest('hex')}\n`);
await session.dispose();
