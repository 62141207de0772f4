import { EspalierError } from '@espalier/base';

const SAFETENSORS = 'Save the tensors with safetensors, or one array with numpy.save.';
const UNPACK = 'Unpack it first.';
const LEGACY_TORCH = '\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19';

/** Other kinds of file, by how they begin: what it is, and what to do. */
const KINDS: readonly (readonly [
  mark: string | RegExp | ((text: string) => boolean),
  what: string,
  fix: string,
])[] = [
  ['GGUF', 'a GGUF file of llama.cpp', `Take the original model. ${SAFETENSORS}`],
  ['\x89HDF', 'an HDF5 file', SAFETENSORS],
  [
    isProtocolBuffer,
    'a protocol buffer: an ONNX model or a SavedModel',
    `Take the original model. ${SAFETENSORS}`,
  ],
  [/^.{4}TFL3/s, 'a TensorFlow Lite model', `Take the original model. ${SAFETENSORS}`],
  [
    '\xba\x16\x4f\x2f',
    'a model of fastText (.bin)',
    'Give the .vec file that fastText writes beside it.',
  ],
  [
    LEGACY_TORCH,
    'a PyTorch file of the format before 1.6',
    "In Python: torch.save(torch.load(path, weights_only=True), 'state.pt').",
  ],
  [
    isPickle,
    'a Python pickle, which can run code when read',
    "Save a state dict with torch.save, an array with numpy.save; of gensim, vectors.save_word2vec_format('vectors.bin', binary=True).",
  ],
  ['\x1f\x8b', 'a gzip archive', 'Unpack it first: gunzip.'],
  ['BZh', 'a bzip2 archive', UNPACK],
  ['\xfd7zXZ', 'an xz archive', UNPACK],
  ['\x28\xb5\x2f\xfd', 'a zstd archive', UNPACK],
  ['7z\xbc\xaf', 'a 7z archive', UNPACK],
  [/^.{257}ustar/s, 'a tar archive', UNPACK],
  ['PAR1', 'a Parquet file', SAFETENSORS],
  ['ARROW1', 'an Arrow file', SAFETENSORS],
  ['MATLAB', 'a MATLAB file', 'In Python: numpy.save of an array of scipy.io.loadmat.'],
  [
    'version https://git-lfs',
    'a pointer of Git LFS, not the file itself',
    'Fetch the file: git lfs pull.',
  ],
  [/^(\xff\xfe|\xfe\xff)/, 'a text in UTF-16', 'Save it in UTF-8.'],
  [/^\s*<(!doctype|html)/i, 'a web page', 'The download failed: take the file again.'],
  [
    /^[-+\d.e]+[,;][-+\d.e,; ]+\r?\n/i,
    'a table of numbers with commas',
    "In Python: numpy.save('matrix.npy', numpy.loadtxt(path, delimiter=',')).",
  ],
];

/** Folders of other kinds, by the files in them. */
const FOLDERS: readonly (readonly [file: RegExp, what: string, fix: string])[] = [
  [/^saved_model\.pb$/, 'a SavedModel of TensorFlow', SAFETENSORS],
  [/\.data-\d{5}-of-\d{5}$/, 'a checkpoint of TensorFlow', SAFETENSORS],
  [/^manifest\.json$/, 'an artifact', 'Read it with loadArtifact.'],
  [/^model\.json$/, 'a model of TensorFlow.js', 'Read it with readModelFolder.'],
];

const READ =
  'Read are .npy, .npz, safetensors, PyTorch state dicts, and vectors of GloVe, word2vec, fastText (.vec) and model2vec.';

/** The error for a file of another kind. */
export function refuseFile(start: Uint8Array, fileName: string): EspalierError {
  const text = Buffer.from(start).toString('latin1', 0, 512);
  const [, what, fix] =
    KINDS.find(([mark]) => beginsWith(text, mark)) ?? guessByName(text, fileName);
  return new EspalierError('matrices/format', {
    problem: `it is ${what}`,
    received: isText(text) ? text.slice(0, 40) : Buffer.from(start.slice(0, 8)).toString('hex'),
    fix: `${fix} ${READ}`,
  });
}

/** The error for a zip archive of other files. */
export function refuseArchive(names: readonly string[]): EspalierError {
  return new EspalierError('matrices/format', {
    problem: 'it is a zip archive, neither of numpy.savez nor of torch.save',
    received: names.slice(0, 5),
    fix: `${UNPACK} ${READ}`,
  });
}

/** The error for a folder of other files. */
export function refuseFolder(names: readonly string[]): EspalierError {
  const found = FOLDERS.find(([file]) => names.some((name) => file.test(name)));
  return new EspalierError('matrices/format', {
    problem: found
      ? `it is ${found[1]}`
      : 'the folder holds no model.safetensors and no index of shards',
    received: names.slice(0, 5),
    fix: found?.[2] ?? 'Give the file in it that holds the matrices.',
  });
}

function beginsWith(text: string, mark: (typeof KINDS)[number][0]): boolean {
  if (typeof mark === 'string') return text.startsWith(mark);
  return typeof mark === 'function' ? mark(text) : mark.test(text);
}

/** Field 1 is a small number, the version; then comes the next field. */
function isProtocolBuffer(text: string): boolean {
  const next = text.charCodeAt(2);
  return text.startsWith('\x08') && text.charCodeAt(1) <= 0x20 && [0x12, 0x3a, 0x42].includes(next);
}

function isPickle(text: string): boolean {
  const protocol = text.charCodeAt(1);
  return text.startsWith('\x80') && protocol >= 2 && protocol <= 5;
}

function isText(text: string): boolean {
  return ![...Buffer.from(text, 'latin1')].some((byte) => byte < 9 || (byte > 13 && byte < 32));
}

/** What has no mark at its beginning. */
function guessByName(text: string, name: string): readonly [unknown, string, string] {
  if (text === '') return ['', 'an empty file', 'Take the file again.'];
  if (/\.pb$/.test(name)) return ['', 'a graph of TensorFlow', SAFETENSORS];
  if (/\.index$|\.data-\d{5}-of-\d{5}$/.test(name))
    return ['', 'a part of a checkpoint of TensorFlow', SAFETENSORS];
  if (/^\s*[[{]/.test(text)) return ['', 'a JSON text without a weight_map', SAFETENSORS];
  if (isText(text)) {
    return [
      '',
      'a text whose first line is no word with its vector',
      'Give one word and its numbers in each line.',
    ];
  }
  return ['', 'of no kind that is known', SAFETENSORS];
}
