import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { copyModel, disposeModel, keyedRng } from '@espalier/core';
import type { EspalierError } from '@espalier/core';
import { ResetAfterGRU, ResetAfterGRUCell } from '@espalier/formats';
import type { ArtifactPlugin, StateDict } from '@espalier/formats';
import {
  loadArtifact,
  openMatrices,
  readAllTensors,
  readMatrices,
  readModelFolder,
} from '@espalier/formats/node';
import type { MatrixFile, OnProgress } from '@espalier/formats/node';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { modelFromStateDict } from '../model-from-state-dict.js';
import { missingInput, unknownFolder } from './errors.js';
import { REST } from './output-folder.js';

/** A model that was read to be compressed. */
export interface CompressInput {
  readonly kind: 'matrix' | 'state dict' | 'LayersModel' | 'artifact';
  /** The caller disposes it with `disposeModel`. */
  readonly model: LayersModel;
  /** The words that rows of its one word matrix stand for, where the input names them. */
  readonly words?: readonly string[] | undefined;
  /** Tensors that no layer of the model holds. */
  readonly rest: StateDict;
  /** Plugins that register layers of the model. */
  readonly plugins: readonly ArtifactPlugin[];
  /** Bytes on disk. */
  readonly bytes: number;
}

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

const NOTHING: StateDict = new Map();
const MODEL = 'model.json';
const MANIFEST = 'manifest.json';

/**
 * Reads matrices in any format of `openMatrices` (safetensors, `.npy`, PyTorch, vectors in text, …), the folder of a
 * LayersModel (or its `model.json`), or an artifact (or its `manifest.json`). The content decides what it is.
 *
 * @param options `onProgress` is called while a file of words is checked, with bytes.
 * @throws EspalierError `compress/no-input`, `compress/no-matrix`, and the errors of the readers of
 * `@espalier/formats`.
 * @example
 * const { model, words } = await readInput('glove.6B.100d.txt');
 */
export async function readInput(
  path: string,
  options: { readonly onProgress?: OnProgress | undefined } = {},
): Promise<CompressInput> {
  const found = await stat(path).catch((cause: unknown) => {
    throw missingInput(path, cause);
  });
  if (found.isDirectory()) return readFolder(path);
  if (basename(path) === MODEL) return readModel(dirname(path));
  if (basename(path) === MANIFEST) return readArtifact(dirname(path));
  return readState(await openMatrices(path, options));
}

async function readFolder(path: string): Promise<CompressInput> {
  const names = await readdir(path);
  if (names.includes(MANIFEST)) return readArtifact(path);
  if (names.includes(MODEL)) return readModel(path);
  const file = await openMatrices(path).catch((error: EspalierError) => {
    throw error.code === 'matrices/format' ? unknownFolder(path, names, error) : error;
  });
  return readState(file);
}

async function readState(file: MatrixFile): Promise<CompressInput> {
  try {
    const state = await readAllTensors(file);
    const kind = state.size === 1 ? 'matrix' : 'state dict';
    const { model, rest } = modelFromStateDict(state);
    const { bytes, words } = file;
    return { kind, model, words, rest, plugins: findImportPlugins(model), bytes };
  } finally {
    await file.close();
  }
}

async function readModel(path: string): Promise<CompressInput> {
  const files = [MODEL, ...(await listShards(path))];
  const model = rebuildLayers(await readModelFolder(path));
  const bytes = await measureFiles(path, files);
  return { kind: 'LayersModel', model, rest: NOTHING, plugins: [], bytes };
}

/** The model with nested models flattened and its layers named as in a session. */
function rebuildLayers(read: LayersModel): LayersModel {
  try {
    return copyModel(read, (...key) => keyedRng('compress', ...key));
  } finally {
    disposeModel(read);
  }
}

async function readArtifact(path: string): Promise<CompressInput> {
  const carries = (await readdir(path)).includes(REST);
  const rest = carries ? await readMatrices(join(path, REST)) : NOTHING;
  const { model, manifest, words } = await loadArtifact(path);
  const named = [manifest.weights, ...(manifest.words ? [manifest.words] : [])];
  const files = [MANIFEST, ...named.map(({ file }) => file), ...(carries ? [REST] : [])];
  const { edits, plugins } = manifest;
  const changing = new Set(edits.map(({ plugin }) => plugin));
  return {
    kind: 'artifact',
    model,
    words,
    rest,
    plugins: plugins.filter(({ id, layers }) => layers !== undefined || changing.has(id)),
    bytes: await measureFiles(path, files),
  };
}

/** Files of weights; none where `model.json` is invalid: reading the model then refuses it. */
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

/** What registers the layers of a state dict that TensorFlow.js does not have. */
function findImportPlugins(model: LayersModel): ArtifactPlugin[] {
  const classes = [ResetAfterGRU, ResetAfterGRUCell].map(({ className }) => className);
  if (!model.layers.some((layer) => classes.includes(layer.getClassName()))) return [];
  return [{ id: 'interop', version, use: '@espalier/formats#ResetAfterGRU', layers: classes }];
}
