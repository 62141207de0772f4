import { packCheckpoint, unpackCheckpoint } from '@espalier/checkpoint';
import {
  adam,
  arraySource,
  createSession,
  crossEntropy,
  definePlugin,
  memoryStore,
} from '@espalier/core';
import type { KeyedRng, Session } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import { damageFiles, damageJson, replaceFile } from '../damage.js';
import type { Reader, Sample } from '../reader.js';

const FILE = 'step-000000002.safetensors';

/** It keeps a number. */
const keeping = definePlugin({
  id: 'keeping',
  version: '1.0.0',
  options: z.strictObject({}),
  apply(ctx) {
    let kept = 1;
    ctx.keepState({
      version: 1,
      save: () => ({ json: { kept } }),
      load: ({ json }) => {
        kept = z.object({ kept: z.number() }).parse(json).kept;
      },
    });
  },
});

function open(): Promise<Session> {
  return createSession({
    model: () =>
      tfl.sequential({
        layers: [
          tfl.layers.dense({ units: 3, inputShape: [2], name: 'hidden' }),
          tfl.layers.dense({ units: 2, name: 'logits' }),
        ],
      }),
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 0.1 }),
    train: arraySource({
      x: { data: new Float32Array(8), shape: [4, 2] },
      y: { data: new Int32Array(4), shape: [4] },
      batchSize: 2,
    }),
    plugins: [keeping()],
    backend: { prefer: ['cpu'] },
  });
}

async function makeSample(): Promise<Sample> {
  const store = memoryStore();
  const session = await open();
  await session.fit({ epochs: 1 });
  await session.save(store);
  await session.dispose();
  return { name: 'a run', files: { [FILE]: await store.read(FILE) }, open: FILE };
}

/** The manifest changed, and all sealed again. */
async function withManifest(sample: Sample, change: (manifest: unknown) => unknown) {
  const { manifest, tensors } = await unpackCheckpoint(sample.files[FILE]!, FILE);
  return replaceFile(sample, FILE, await packCheckpoint({ manifest: change(manifest), tensors }));
}

async function damage(sample: Sample, draw: KeyedRng): Promise<Sample> {
  if (draw() < 0.05) return damageFiles(sample, draw);
  return withManifest(sample, (manifest) => damageJson(manifest, draw)).catch(() => sample);
}

export async function makeCheckpoints(): Promise<Reader> {
  const sample = await makeSample();
  const emptyStep = await withManifest(sample, (manifest) => {
    (manifest as { clock: Record<string, unknown> }).clock['step'] = '';
    return manifest;
  });
  return {
    name: 'checkpoints',
    samples: [sample],
    found: [{ ...emptyStep, name: 'a step that is no number' }],
    damage,
    async read(_folder, { files }) {
      const store = memoryStore();
      await store.write(FILE, files[FILE]!);
      const session = await open();
      try {
        await session.load({ store });
        await session.save(memoryStore());
      } finally {
        await session.dispose();
      }
    },
  };
}
