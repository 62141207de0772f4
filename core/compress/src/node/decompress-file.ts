import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { disposeModel, EspalierError, fileError, loadExport, plainModel } from '@espalier/core';
import type { ResolveOptions } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import { writeModelFolder, writeNpy, writeSafetensors, writeVectors } from '@espalier/formats/node';
import type { RowSource } from '@espalier/formats/node';
import type { OnCompressEvent } from '../events.js';
import { findMatrices } from './dense-output.js';
import type { DenseMatrices } from './dense-output.js';
import { folderAtOutput, foreignOutput, outputIsInput, unwritableOutput } from './errors.js';
import { encodeRest, REST } from './output-folder.js';
import { readInput } from './read-input.js';
import type { CompressInput } from './read-input.js';

/** How to decompress a file. */
export interface DecompressFileOptions extends Pick<ResolveOptions, 'load' | 'modules'> {
  /** A file that ends in `.npy`, `.safetensors` or `.vec`, or a folder for a model of TensorFlow.js. */
  readonly out: string;
  /** For `.vec`: a text with one word in each line, in place of the words of the input. */
  readonly words?: string | undefined;
  /** Only these layers; default: all. Not for a folder. */
  readonly layers?: readonly string[] | undefined;
  readonly onEvent?: OnCompressEvent | undefined;
}

/** The result of {@link decompressFile}. */
export interface DecompressedFile {
  readonly out: string;
  readonly format: 'npy' | 'safetensors' | 'vec' | 'tfjs';
  /** The matrices that were written, with their rows and columns; of a folder: none, it has all layers. */
  readonly matrices: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** What the input has and the output lacks. */
  readonly leftOut: readonly string[];
}

type Format = DecompressedFile['format'];

const FORMATS: Readonly<Record<string, Format>> = {
  '.npy': 'npy',
  '.safetensors': 'safetensors',
  '.vec': 'vec',
  '': 'tfjs',
};
const MODEL = 'model.json';
const WORDS = 'words.json';

/**
 * Writes the matrices of an artifact, or of any other input of {@link readInput}, as dense float32: one matrix as `.npy`, or
 * with its words as `.vec`; all matrices as safetensors, under the names of a PyTorch state dict; all layers as a model
 * that plain TensorFlow.js loads. Rows are decoded some at a time. A kill or a full disk leaves the old file or the
 * new one.
 *
 * Layers of plugins are registered by importing the packages of Espalier that the artifact names; others must have
 * been imported.
 *
 * @throws EspalierError `compress/output` where the result cannot go to, `compress/dense` where the format cannot hold
 * what is asked for, `compress/layers`, `matrices/vec`, `matrices/write`, and the errors of {@link readInput}.
 * @example
 * await decompressFile('small', { out: 'words.vec' });
 */
export async function decompressFile(
  path: string,
  options: DecompressFileOptions,
): Promise<DecompressedFile> {
  const { out } = options;
  const format = findFormat(options);
  await checkTarget(out, path, format);
  await importLayers(path, options);
  const input = await readInput(path);
  try {
    return format === 'tfjs'
      ? await writeFolder(out, input)
      : await writeMatrices(format, input, options);
  } finally {
    disposeModel(input.model);
  }
}

function findFormat({ out, words, layers }: DecompressFileOptions): Format {
  const extension = /[/\\]$/.test(out) ? '' : extname(out).toLowerCase();
  const format = FORMATS[extension];
  if (!format) {
    throw denseError(`files that end in ${extension} are not written`, out, {
      fix: 'Choose a file that ends in .npy, .safetensors or .vec, or a folder.',
    });
  }
  if (words !== undefined && format !== 'vec')
    throw denseError('only .vec holds words', out, { fix: 'Leave the words out, or write .vec.' });
  if (layers && format === 'tfjs') {
    throw denseError('a folder holds the whole model', layers, {
      fix: 'Leave the layers out, or write .npy, .safetensors or .vec.',
    });
  }
  return format;
}

/** Refuses a place that holds the input, or a folder with other files. */
async function checkTarget(out: string, input: string, format: Format): Promise<void> {
  const real = (path: string) => realpath(path).catch(() => resolve(path));
  const [target, source] = await Promise.all([real(out), real(input)]);
  if (target === source || dirname(source) === target) throw outputIsInput(out);
  const names = await readdir(out).catch((cause: NodeJS.ErrnoException) => {
    const isFree = cause.code === 'ENOENT' || (format !== 'tfjs' && cause.code === 'ENOTDIR');
    if (isFree) return undefined;
    throw unwritableOutput(out, cause);
  });
  if (!names) return;
  if (format !== 'tfjs') throw folderAtOutput(out);
  if (names.length > 0 && !names.includes(MODEL)) throw foreignOutput(out, names, 'a model');
}

/** Only packages of Espalier are imported: an artifact may name any module. */
async function importLayers(path: string, from: DecompressFileOptions): Promise<void> {
  const folder = basename(path) === 'manifest.json' ? dirname(path) : path;
  const text = await readFile(join(folder, 'manifest.json'), 'utf8').catch(() => '{}');
  for (const use of listUses(text)) {
    if (/^@espalier\/[a-z0-9-]+#\w+$/.test(use)) await loadExport(use, from);
  }
}

/** What is no manifest is refused when the artifact is read. */
function listUses(text: string): readonly string[] {
  try {
    const { plugins } = JSON.parse(text) as { plugins?: { use?: string; layers?: unknown }[] };
    return (plugins ?? []).flatMap(({ use, layers }) => (layers && use ? [use] : []));
  } catch {
    return [];
  }
}

async function writeFolder(out: string, input: CompressInput): Promise<DecompressedFile> {
  const plain = plainModel(input.model);
  try {
    await writeModelFolder(plain, out);
  } finally {
    disposeModel(plain);
  }
  const { rest, words } = input;
  await replaceFile(out, REST, rest.size > 0 ? encodeRest(rest) : undefined);
  await replaceFile(out, WORDS, words && new TextEncoder().encode(JSON.stringify(words)));
  return { out, format: 'tfjs', matrices: [], leftOut: [] };
}

/** Writes a file beside the model, or removes that of an earlier result. */
async function replaceFile(out: string, name: string, bytes?: Uint8Array): Promise<void> {
  const store = fileStore(out);
  await (bytes ? store.write(name, bytes) : store.remove(name)).catch(({ cause }: Error) => {
    throw fileError('compress/output', `cannot write ${name} beside the model in ${out}`, cause);
  });
}

async function writeMatrices(
  format: Exclude<Format, 'tfjs'>,
  input: CompressInput,
  options: DecompressFileOptions,
): Promise<DecompressedFile> {
  const { out, layers, onEvent } = options;
  const dense = await findMatrices(input.model, layers);
  const leftOut = listLeftOut(format, dense, input, layers);
  const onProgress = ({ done, total }: { done: number; total: number }) =>
    onEvent?.({ type: 'progress', what: 'rows written', done, total });
  if (format === 'safetensors') {
    const matrices = dense.matrices.map((each) => ({ ...each, name: `${each.name}.weight` }));
    const rest = layers ? [] : [...input.rest].map(([name, tensor]) => ({ name, ...tensor }));
    await writeSafetensors(out, [...matrices, ...dense.biases, ...rest], { onProgress });
    return { out, format, matrices: matrices.map(describe), leftOut };
  }
  const matrix = takeOne(dense.matrices);
  if (format === 'npy') await writeNpy(out, matrix, { onProgress });
  else await writeVectors(out, matrix, await findWords(input, options), { onProgress });
  return { out, format, matrices: [describe(matrix)], leftOut };
}

function listLeftOut(
  format: Format,
  { biases, others }: DenseMatrices,
  { rest, words }: CompressInput,
  layers: readonly string[] | undefined,
): readonly string[] {
  if (format === 'safetensors') {
    if (others.length === 0) return [];
    throw denseError('these layers have weights that are no matrix of rows', others, {
      fix: 'Write a folder, which holds every layer, or name the layers that are wanted.',
    });
  }
  const unnamed = words && format === 'npy' ? ['the words'] : [];
  const beside = layers ? [] : [...others, ...rest.keys()];
  return [...biases.map(({ name }) => name), ...beside, ...unnamed];
}

function takeOne(matrices: readonly RowSource[]): RowSource {
  const [matrix] = matrices;
  if (matrix && matrices.length === 1) return matrix;
  throw denseError(
    'the file holds one matrix',
    matrices.map(({ name }) => name),
    { fix: 'Name the layer that is wanted, or write .safetensors, which holds several.' },
  );
}

async function findWords(
  { words }: CompressInput,
  options: DecompressFileOptions,
): Promise<readonly string[]> {
  if (options.words !== undefined) return readWords(options.words);
  if (words) return words;
  throw denseError('the input has no words, which .vec needs', options.out, {
    fix: 'Give a text with one word in each line as the words, or write .npy.',
  });
}

async function readWords(path: string): Promise<readonly string[]> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw fileError('compress/dense', `cannot read the words in ${path}`, cause);
  });
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.replace(/\r?\n$/, '').split(/\r?\n/);
  } catch {
    throw denseError('the words are not UTF-8', path, { fix: 'Save them in UTF-8.' });
  }
}

function describe({ name, shape }: RowSource) {
  return { name, shape };
}

function denseError(problem: string, received: unknown, { fix }: { readonly fix: string }) {
  return new EspalierError('compress/dense', { problem, received, fix });
}
