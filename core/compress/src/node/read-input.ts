import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { offerRows } from '@espalier/compression';
import type { StorageConfig, WorkStore } from '@espalier/compression';
import { copyModel, disposeModel, keyedRng } from '@espalier/core';
import type { EspalierError } from '@espalier/core';
import { isFloat, ResetAfterGRU, ResetAfterGRUCell } from '@espalier/formats';
import type { ArtifactPlugin, MeasuredModel, StateDict } from '@espalier/formats';
import {
  loadArtifact,
  openMatrices,
  readAllTensors,
  readMatrices,
  readModelFolder,
} from '@espalier/formats/node';
import type { FileTensor, MatrixFile, OnProgress } from '@espalier/formats/node';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { buildStateDict, listEmbeddings } from '../model-from-state-dict.js';
import type { Elsewhere, FoundEmbedding } from '../model-from-state-dict.js';
import { missingInput, tooLarge, unknownFolder } from './errors.js';
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
  { onProgress }: { readonly onProgress?: OnProgress | undefined } = {},
): Promise<CompressInput> {
  const { kind, model, words, rest, plugins, bytes, close } = await openInput(path, { onProgress });
  await close();
  return { kind, model, words, rest, plugins, bytes };
}

/** An input of which some matrices are read when they are needed. */
export interface OpenInput extends CompressInput {
  /** Weights by path that the model lacks, with their shape. */
  readonly elsewhere: MeasuredModel['elsewhere'];
  /** Bytes of a number of its matrices: 2 where all are float16 or bfloat16. */
  readonly elementBytes: 2 | 4;
  /** No more rows can be read then. */
  close(): Promise<void>;
}

interface OpenInputOptions {
  readonly onProgress?: OnProgress | undefined;
  /** Which matrices are not read, and where work on them is kept. */
  readonly streams?: Streams | undefined;
}

/** What becomes of matrices that are read some rows at a time. */
export interface Streams {
  wants(embedding: FoundEmbedding): boolean;
  /** Asked for when the work begins. */
  work(layer: string): WorkStore | undefined;
}

/** {@link readInput}, with matrices that stay in their file. */
export async function openInput(path: string, options: OpenInputOptions): Promise<OpenInput> {
  const found = await stat(path).catch((cause: unknown) => {
    throw missingInput(path, cause);
  });
  if (found.isDirectory()) return openFolder(path, options);
  if (basename(path) === MODEL) return inMemory(await readModel(dirname(path)));
  if (basename(path) === MANIFEST) return inMemory(await readArtifact(dirname(path)));
  return openState(await openMatrices(path, options), options);
}

function inMemory(input: CompressInput): OpenInput {
  return { ...input, elsewhere: [], elementBytes: 4, close: () => Promise.resolve() };
}

async function openFolder(path: string, options: OpenInputOptions): Promise<OpenInput> {
  const names = await readdir(path);
  if (names.includes(MANIFEST)) return inMemory(await readArtifact(path));
  if (names.includes(MODEL)) return inMemory(await readModel(path));
  const file = await openMatrices(path).catch((error: EspalierError) => {
    throw error.code === 'matrices/format' ? unknownFolder(path, names, error) : error;
  });
  return openState(file, options);
}

async function openState(file: MatrixFile, { streams }: OpenInputOptions): Promise<OpenInput> {
  const withdrawals: (() => void)[] = [];
  const close = () => {
    withdrawals.forEach((withdraw) => withdraw());
    return file.close();
  };
  try {
    const found = listEmbeddings(describeState(file));
    const elsewhere = new Map<string, StorageConfig>();
    const missing: MeasuredModel['elsewhere'][number][] = [];
    for (const embedding of found) {
      if (!streams?.wants(embedding) || mayBeTied(file, embedding, found)) continue;
      const { tensor, layer, rows, columns } = embedding;
      const { readRows } = file.tensors.get(tensor)!;
      const { storage, withdraw } = offerRows({
        ...{ rows, columns, readRows },
        get work() {
          return streams.work(layer);
        },
      });
      withdrawals.push(withdraw);
      elsewhere.set(tensor, storage);
      missing.push({ name: `${layer}/embeddings`, dtype: 'F32', shape: [rows, columns] });
    }
    const { model, rest } = buildStateDict(await readState(file, elsewhere), elsewhere);
    const kind = file.tensors.size === 1 ? 'matrix' : 'state dict';
    const { bytes, words } = file;
    const plugins = findImportPlugins(model);
    const elementBytes = hasHalves(file) ? 2 : 4;
    const described = { kind, words, rest, plugins, bytes, elementBytes } as const;
    return { ...described, model, elsewhere: missing, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Whether another module may hold the same numbers; that is told from the numbers, so those are in memory. */
function mayBeTied(
  { tensors }: MatrixFile,
  { rows, columns }: FoundEmbedding,
  embeddings: readonly FoundEmbedding[],
): boolean {
  const own = new Set(embeddings.map(({ tensor }) => tensor));
  return [...tensors].some(
    ([name, { shape }]) =>
      !own.has(name) && shape.length === 2 && shape[0] === rows && shape[1] === columns,
  );
}

/** Whether all matrices of floats are float16 or bfloat16. */
function hasHalves({ tensors }: MatrixFile): boolean {
  const matrices = [...describeState({ tensors }).values()].filter(
    (tensor) => tensor.shape.length === 2 && isFloat(tensor),
  );
  return matrices.length > 0 && matrices.every(({ dtype }) => ['F16', 'BF16'].includes(dtype));
}

const NO_NUMBERS = new Float32Array(0);

/** Types and shapes of all tensors. */
function describeState({ tensors }: Pick<MatrixFile, 'tensors'>): StateDict {
  const all = [...tensors].map(
    ([name, { dtype, shape }]) => [name, { dtype, shape, data: NO_NUMBERS }] as const,
  );
  return new Map(all);
}

/** All tensors, those that stay in the file without their numbers. */
async function readState(file: MatrixFile, elsewhere: Elsewhere): Promise<StateDict> {
  const here = [...file.tensors].filter(([name]) => !elsewhere.has(name));
  for (const [, tensor] of here) refuseLarge(tensor);
  const read = await readAllTensors({ ...file, tensors: new Map(here) });
  return new Map([...describeState(file)].map(([name, each]) => [name, read.get(name) ?? each]));
}

/** Bytes of a matrix in float32 that no backend takes. */
const LARGEST = 2 ** 31;

function refuseLarge({ name, shape }: FileTensor): void {
  const bytes = shape.reduce((size, n) => size * n, 4);
  if (bytes > LARGEST) throw tooLarge(name, bytes);
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
