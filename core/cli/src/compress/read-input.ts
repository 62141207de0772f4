import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { loadArtifact } from '@espalier/artifact/node';
import { EspalierError } from '@espalier/core';
import type { StateDict } from '@espalier/interop';
import { readMatrices, readModelFolder } from '@espalier/interop/node';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { stateDictModel } from './state-dict-model.js';

/** What is compressed. */
export interface Input {
  /** What kind of thing it is, for the report. */
  readonly kind: string;
  readonly model: LayersModel;
  /** Tensors that the model has no layer for; they are carried along unchanged. */
  readonly rest: StateDict;
  /** Bytes on disk. */
  readonly bytes: number;
}

const NOTHING: StateDict = new Map();

/**
 * Reads a safetensors or `.npy` file, the folder of a LayersModel, or an artifact, told apart by
 * content.
 *
 * @throws EspalierError `cli/input` where there is nothing of the kind; what the readers throw.
 */
export async function readInput(path: string): Promise<Input> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new EspalierError('cli/input', { problem: `there is no ${path}`, cause });
  });
  if (found.isDirectory()) return readFolder(path);
  if (basename(path) === 'model.json') return readFolder(dirname(path));
  const state = await readMatrices(path);
  const kind = state.size === 1 ? 'matrix' : 'state dict';
  return { kind, ...stateDictModel(state), bytes: found.size };
}

async function readFolder(path: string): Promise<Input> {
  const names = await readdir(path);
  if (names.includes('manifest.json')) {
    const { model, manifest } = await loadArtifact(path);
    const files = ['manifest.json', manifest.weights.file];
    return { kind: 'artifact', model, rest: NOTHING, bytes: await sizeOf(path, files) };
  }
  if (names.includes('model.json')) {
    const files = ['model.json', ...(await shardsOf(path))];
    const model = await readModelFolder(path);
    return { kind: 'LayersModel', model, rest: NOTHING, bytes: await sizeOf(path, files) };
  }
  throw new EspalierError('cli/input', {
    problem: `${path} holds neither model.json nor the manifest.json of an artifact`,
    received: names.slice(0, 5),
    fix: 'Give a folder that model.save or saveArtifact wrote, or a .safetensors or .npy file.',
  });
}

/** Files of weights; none where `model.json` is not sound, which reading the model will say. */
async function shardsOf(path: string): Promise<readonly string[]> {
  try {
    const text = await readFile(join(path, 'model.json'), 'utf8');
    const { weightsManifest } = JSON.parse(text) as { weightsManifest: { paths: string[] }[] };
    return weightsManifest.flatMap(({ paths }) => paths);
  } catch {
    return [];
  }
}

async function sizeOf(folder: string, files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
