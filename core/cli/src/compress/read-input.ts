import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { copyModel, disposeModel, EspalierError, keyedRng } from '@espalier/core';
import type { ArtifactPlugin, StateDict } from '@espalier/formats';
import { loadArtifact, readMatrices, readModelFolder } from '@espalier/formats/node';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { findImportPlugins } from './artifact-plugins.js';
import { buildModel } from './model-from-state-dict.js';
import { REST } from './out-folder.js';

/** What is compressed. */
export interface Input {
  /** What kind of thing it is, for the report. */
  readonly kind: string;
  readonly model: LayersModel;
  /** Tensors that the model has no layer for; they are carried along unchanged. */
  readonly rest: StateDict;
  /** What has to be imported for the model as it is. */
  readonly plugins: readonly ArtifactPlugin[];
  /** Bytes on disk. */
  readonly bytes: number;
}

const NOTHING: StateDict = new Map();
const MODEL = 'model.json';
const MANIFEST = 'manifest.json';

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
  if (basename(path) === MODEL) return readModel(dirname(path));
  if (basename(path) === MANIFEST) return readArtifact(dirname(path));
  const state = await readMatrices(path);
  const kind = state.size === 1 ? 'matrix' : 'state dict';
  const { model, rest } = buildModel(state);
  return { kind, model, rest, plugins: findImportPlugins(model), bytes: found.size };
}

async function readFolder(path: string): Promise<Input> {
  const names = await readdir(path);
  if (names.includes(MANIFEST)) return readArtifact(path);
  if (names.includes(MODEL)) return readModel(path);
  throw new EspalierError('cli/input', {
    problem: `${path} holds neither model.json nor the manifest.json of an artifact`,
    received: names.slice(0, 5),
    fix: 'Give a folder that model.save or saveArtifact wrote, or a .safetensors or .npy file.',
  });
}

async function readModel(path: string): Promise<Input> {
  const files = [MODEL, ...(await listShards(path))];
  const model = rebuildLayers(await readModelFolder(path));
  const bytes = await measureFiles(path, files);
  return { kind: 'LayersModel', model, rest: NOTHING, plugins: [], bytes };
}

/** The model with its layers named as in a session, and what is nested first laid open. */
function rebuildLayers(read: LayersModel): LayersModel {
  try {
    return copyModel(read, (...key) => keyedRng('compress', ...key));
  } finally {
    disposeModel(read);
  }
}

async function readArtifact(path: string): Promise<Input> {
  const carries = (await readdir(path)).includes(REST);
  const rest = carries ? await readMatrices(join(path, REST)) : NOTHING;
  const { model, manifest } = await loadArtifact(path);
  const files = [MANIFEST, manifest.weights.file, ...(carries ? [REST] : [])];
  const { edits, plugins } = manifest;
  const changing = new Set(edits.map(({ plugin }) => plugin));
  return {
    kind: 'artifact',
    model,
    rest,
    plugins: plugins.filter(({ id, layers }) => layers !== undefined || changing.has(id)),
    bytes: await measureFiles(path, files),
  };
}

/** Files of weights; none where `model.json` is not sound, which reading the model will say. */
async function listShards(path: string): Promise<readonly string[]> {
  try {
    const text = await readFile(join(path, MODEL), 'utf8');
    const { weightsManifest } = JSON.parse(text) as { weightsManifest: { paths: string[] }[] };
    return weightsManifest.flatMap(({ paths }) => paths);
  } catch {
    return [];
  }
}

async function measureFiles(folder: string, files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
