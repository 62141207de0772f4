/**
 * Stop in the middle of an epoch, go on in a new session, and end with the same bits as a run that
 * was never stopped: weights, moving statistics, optimizer state and random draws.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adam, createSession, crossEntropy } from '@espalier/core';
import type { CheckpointStore, Session } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import { byot } from '@espalier/preset-baselines';
import { loadDigits, sourceOf } from './digits/data.js';
import { smallNetwork } from './small-network.js';

const EPOCHS = 3;
const STOP_AT = 17; // of 15 steps an epoch: in the second one
const digits = loadDigits({ train: 30, validation: 0, test: 0 });
const folder = await mkdtemp(join(tmpdir(), 'espalier-resume-'));

try {
  const undisturbed = await open();
  await undisturbed.fit({ untilEpoch: EPOCHS });
  console.log(`undisturbed: ${await describe(undisturbed)}`);

  const store = fileStore(folder);
  const stopped = await open(store);
  const stop = new AbortController();
  stopped.telemetry.on('step', ({ step }) => step === STOP_AT && stop.abort());
  await stopped.fit({ untilEpoch: EPOCHS, signal: stop.signal }); // saves before it returns
  console.log(`stopped:     ${await describe(stopped)}`);

  const resumed = await open(store);
  await resumed.load();
  await resumed.fit({ untilEpoch: EPOCHS });
  console.log(`resumed:     ${await describe(resumed)}`);

  const same = (await hash(undisturbed)) === (await hash(resumed));
  console.log(same ? 'The same, bit for bit.' : 'NOT the same.');
  process.exitCode = same ? 0 : 1;
  await Promise.all([undisturbed, stopped, resumed].map((session) => session.dispose()));
} finally {
  await rm(folder, { recursive: true });
}

function open(store?: CheckpointStore): Promise<Session> {
  return createSession({
    model: smallNetwork,
    preset: byot({ at: ['conv1', 'conv2'] }),
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 3e-3 }),
    train: sourceOf(digits.train, 20, true),
    seed: 1,
    logInterval: 1,
    backend: { prefer: 'wasm' },
    ...(store && { checkpoint: { store } }),
  });
}

async function describe(session: Session): Promise<string> {
  const { step, epoch, batchesInEpoch: batch } = session.clock;
  const place = batch === 0 ? 'at its start' : `${batch} batches into it`;
  const weights = (await hash(session)).slice(0, 16);
  return `step ${String(step).padStart(2)}, epoch ${epoch} ${place}; SHA-256 of the weights ${weights}…`;
}

/** Of every parameter and moving statistic, byte by byte. */
async function hash(session: Session): Promise<string> {
  const hash = createHash('sha256');
  for (const tensor of Object.values(session.parameters())) {
    hash.update((await tensor.data<'float32'>()) as Float32Array);
  }
  return hash.digest('hex');
}
