import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EspalierError, sha256Hex } from '@espalier/base';
import type { CheckpointStore } from '@espalier/checkpoint';
import { fileStore } from '@espalier/checkpoint/node';
import type { FileOperations } from '@espalier/checkpoint/node';
import * as tf from '@tensorflow/tfjs-core';
import type { io } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { buildFromFile } from './build-from-file.js';
import {
  invalidModelFileError,
  MODEL_FILE,
  parseModelFile,
  countWeightBytes,
} from './model-file.js';
import type { ModelFile } from './model-file.js';
import { withStoreErrors } from './store-errors.js';

const WEIGHTS = /^weights-[0-9a-f]{16}\.bin$/;

/**
 * Reads a LayersModel from a folder of `model.json` and its weight shards, as `model.save` and the
 * converter write it, quantized weights included; without tfjs-node. Weights are what the file holds:
 * tfjs' own reader applies constraints to them. Not compiled: a training
 * configuration is passed over. Classes of layers must be registered, so import what defines them.
 *
 * @returns the model; the caller's, to dispose too.
 * @throws EspalierError `model-folder/file` when a file cannot be read; `model-folder/invalid` on
 * whatever is not sound, or that TensorFlow.js refuses.
 * @example
 * const model = await readModelFolder('models/small');
 */
export async function readModelFolder(dir: string): Promise<LayersModel> {
  const file = parseModelFile(new TextDecoder().decode(await readPart(dir, MODEL_FILE)));
  const paths = file.weightsManifest.flatMap((group) => group.paths);
  const shards = await Promise.all(paths.map((path) => readPart(dir, path)));
  const weights = Uint8Array.from(Buffer.concat(shards));
  const expected = countWeightBytes(file);
  if (weights.length !== expected) {
    throw invalidModelFileError(
      `its shards have ${weights.length} bytes where ${expected} are described`,
    );
  }
  return buildFromFile(file, weights.buffer);
}

/**
 * Writes a LayersModel as a folder that TensorFlow.js loads everywhere: `model.json` and one shard of
 * weights, without optimizer. The weights are written beside the old ones, then `model.json` takes the
 * old one's place, then old weights go: a kill or a full disk at any moment leaves the previous model, or
 * the new one, whole. One writer at a time.
 *
 * @throws EspalierError `model-folder/file` with the system's error; `model-folder/occupied` where
 * another `model.json` is in the folder.
 * @example
 * await writeModelFolder(model, 'models/small');
 */
export async function writeModelFolder(
  model: LayersModel,
  dir: string,
  options: { readonly files?: Partial<FileOperations> } = {},
): Promise<void> {
  const store = fileStore(dir, options);
  const writing = `write the model to ${dir}`;
  const before = await withStoreErrors('model-folder/file', writing, () => findWeights(store));
  const { bytes, text } = await encode(model);
  const name = `weights-${(await sha256Hex(bytes)).slice(0, 16)}.bin`;
  await withStoreErrors('model-folder/file', writing, async () => {
    await store.write(name, bytes);
    await store.write(MODEL_FILE, new TextEncoder().encode(text(name)));
    for (const old of before) if (old !== name) await store.remove(old);
  });
}

async function encode(model: LayersModel) {
  let artifacts: io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (saved) => {
      artifacts = saved;
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
    }),
  );
  const { weightData, weightSpecs, ...rest } = artifacts!;
  const text = (shard: string) =>
    JSON.stringify({ ...rest, weightsManifest: [{ paths: [shard], weights: weightSpecs }] });
  return { bytes: new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData)), text };
}

/** Weights files of the model in a folder, and those that killed writers left. */
async function findWeights(store: CheckpointStore): Promise<readonly string[]> {
  const names = await store.list();
  const left = names.filter((name) => WEIGHTS.test(name));
  if (!names.includes(MODEL_FILE)) return left;
  const text = new TextDecoder().decode(await store.read(MODEL_FILE));
  const named = parseOwnModelFile(store, text).weightsManifest.flatMap(({ paths }) => paths);
  return [...new Set([...left, ...named.filter((name) => names.includes(name))])];
}

function parseOwnModelFile(store: CheckpointStore, text: string): ModelFile {
  try {
    return parseModelFile(text);
  } catch (cause) {
    throw new EspalierError('model-folder/occupied', {
      problem: `the ${MODEL_FILE} in ${store.location} is not that of a LayersModel`,
      fix: 'Choose an empty or new folder. Nothing was changed.',
      cause,
    });
  }
}

function readPart(dir: string, name: string): Promise<Buffer> {
  const path = join(dir, name);
  return withStoreErrors('model-folder/file', `read ${path}`, () => readFile(path));
}
