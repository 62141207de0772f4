import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { EspalierError, fileError } from '@espalier/base';
import { isNpy } from '../npy/header.js';
import { openFile, readStart } from './files/byte-source.js';
import type { ByteSource } from './files/byte-source.js';
import { byName } from './files/matrix-file.js';
import type { FileTensor, MatrixContent, MatrixFile, OnProgress } from './files/matrix-file.js';
import { isZip, readZip } from './files/zip.js';
import { addTokenizerWords, TOKENIZER } from './readers/model2vec.js';
import { readNpy } from './readers/npy.js';
import { readNpz } from './readers/npz.js';
import { isPyTorch, readPyTorch } from './readers/pytorch.js';
import { refuseArchive, refuseFile, refuseFolder } from './readers/refusals.js';
import { readSafetensors } from './readers/safetensors.js';
import { openShards, readShardIndex } from './readers/sharded.js';
import { readTextLayout, readVectorText } from './readers/vector-text.js';
import { isBinary, readBinaryLayout, readWord2vecBinary } from './readers/word2vec-binary.js';

const START = 2 ** 16;
const SINGLE = ['model.safetensors', 'pytorch_model.bin'];

/** Options of {@link openMatrices}. */
export interface OpenMatricesOptions {
  /** Is called while a file of words is checked, which is read as a whole. */
  readonly onProgress?: OnProgress | undefined;
}

/**
 * Opens a file or a folder of matrices, told by its content, for reading in pieces: nothing has to fit into
 * memory, and files may be of any size. It reads `.npy`; `.npz`; safetensors, also in shards (`*.index.json`
 * or its folder); state dicts of `torch.save`, of whose pickle nothing is executed; vectors in text, of GloVe,
 * word2vec and fastText (`.vec`); word2vec's binary files; folders of model2vec. What a file claims is checked
 * before anything is allocated for it; files of words are read once to check every line.
 *
 * @throws EspalierError `matrices/file` when a file cannot be read; `matrices/format` when it is of another kind,
 * with what to do; where it is not sound, `matrices/words` (with line and word), `matrices/zip`,
 * `matrices/pytorch`, `matrices/shard`, `matrices/tokenizer`, `pickle/…`, `npy/…`, `safetensors/…`.
 * @example
 * const file = await openMatrices('glove.6B.100d.txt');
 * const [matrix] = file.tensors.values();
 * const first = await matrix.readRows(0, 1000); // Float32Array, 1000 × 100
 * console.log(file.words[0], matrix.shape);
 * await file.close();
 */
export async function openMatrices(
  path: string,
  { onProgress }: OpenMatricesOptions = {},
): Promise<MatrixFile> {
  const found = await stat(path).catch((cause: unknown) => {
    throw fileError('matrices/file', `cannot read ${path}`, cause);
  });
  return found.isDirectory() ? openFolder(path) : openOne(path, onProgress);
}

async function openFolder(dir: string): Promise<MatrixFile> {
  const names = (await readdir(dir)).sort();
  const only = names.filter((name) => name.endsWith('.safetensors'));
  const name =
    names.find((each) => each.endsWith('.safetensors.index.json')) ??
    names.find((each) => each.endsWith('.bin.index.json')) ??
    names.find((each) => SINGLE.includes(each)) ??
    (only.length === 1 && !names.includes('manifest.json') ? only[0] : undefined);
  if (name === undefined) throw withFileName(dir, refuseFolder(names));
  const file = await openOne(join(dir, name));
  if (!names.includes(TOKENIZER)) return file;
  return addTokenizerWords(dir, file).catch(async (error: unknown) => {
    await file.close();
    throw error;
  });
}

async function openOne(path: string, onProgress?: OnProgress): Promise<MatrixFile> {
  const source = await openFile(path);
  try {
    const start = await readStart(source, START);
    const map = isJsonObject(start) ? await readShardIndex(path) : undefined;
    if (map) {
      await source.close();
      return await openShards(path, map, openOne);
    }
    const content = await readContent(source, start, path, onProgress);
    const named = [...content.tensors.values()].map((tensor) => withErrors(path, tensor));
    const bytes = source.size;
    return { ...content, bytes, tensors: byName(named), close: () => source.close() };
  } catch (error) {
    await source.close();
    throw withFileName(path, error);
  }
}

async function readContent(
  source: ByteSource,
  start: Uint8Array,
  path: string,
  onProgress?: OnProgress,
): Promise<MatrixContent> {
  const name = basename(path, extname(path));
  if (isNpy(start)) return { format: 'npy', tensors: byName([await readNpy(source, name)]) };
  if (await isZip(source)) return readArchive(source, name);
  // '{' behind the header's length, whose upper bytes are zero
  if (start[8] === 0x7b && start[7] === 0)
    return { format: 'safetensors', tensors: byName(await readSafetensors(source)) };
  const binary = await readBinaryLayout(source);
  if (binary && isBinary(start, binary))
    return readWord2vecBinary(source, name, binary, onProgress);
  const text = await readTextLayout(source);
  if (text) return readVectorText(source, name, text, onProgress);
  throw refuseFile(start, basename(path));
}

async function readArchive(source: ByteSource, name: string): Promise<MatrixContent> {
  const entries = await readZip(source);
  if (isPyTorch(entries)) return readPyTorch(entries, name);
  const names = entries.map((entry) => entry.name);
  if (names.length === 0 || !names.every((each) => each.endsWith('.npy')))
    throw refuseArchive(names);
  return { format: 'npz', tensors: byName(await readNpz(entries)) };
}

function isJsonObject(start: Uint8Array): boolean {
  return /^\s*\{\s*"/.test(new TextDecoder().decode(start.subarray(0, 64)));
}

/** The tensor with errors that say of which file they are. */
function withErrors(path: string, tensor: FileTensor): FileTensor {
  const named = (error: unknown): never => {
    throw withFileName(path, error);
  };
  return {
    ...tensor,
    readRows: (begin, end) => tensor.readRows(begin, end).catch(named),
    readBits: (begin, end) => tensor.readBits(begin, end).catch(named),
  };
}

function withFileName(path: string, error: unknown): unknown {
  if (!(error instanceof EspalierError) || error.code === 'matrices/file') return error;
  return error.parts.problem.startsWith(path) ? error : error.withPrefix(path);
}
