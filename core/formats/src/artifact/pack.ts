import { keyedRng, sha256Hex } from '@espalier/base';
import { encodeSafetensorsHeader } from '@espalier/checkpoint';
import type { DescribedTensor } from '@espalier/checkpoint';
import { buildModel, copyModel, disposeModel, extractGraph } from '@espalier/model';
import type { ModelGraph, Topology } from '@espalier/model';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { countTensorBytes, sumTensors } from './bytes.js';
import type { ArtifactBytes } from './bytes.js';
import { encodeManifest, MANIFEST, weightsFile } from './manifest.js';
import type { ArtifactManifest } from './manifest.js';
import { describeWeights } from './weights-file.js';
import type { WeightsFile } from './weights-file.js';
import { encodeWords } from './words.js';

/** What goes into an artifact. */
export interface ArtifactContent extends Partial<
  Pick<ArtifactManifest, 'edits' | 'plugins' | 'notes'>
> {
  /** Stays the caller's. Weights that a graph lacks get their initial values. */
  readonly model: LayersModel | ModelGraph;
  /** The words that rows of its one word matrix stand for, in the order of the rows. */
  readonly words?: readonly string[] | undefined;
  /** How the model came to be: plain JSON, e.g. the hash of the preset, the data, the command. */
  readonly provenance?: Readonly<Record<string, unknown>>;
}

/**
 * Packs a model into the files of an artifact, by name: `manifest.json`,
 * `weights-<hash>.safetensors` and, where there are words, `words-<hash>.json`. Equal content gives equal bytes.
 *
 * @throws EspalierError `model/unregistered-layer`, `model/rebuild` (naming a layer whose configuration
 * does not tell what it computes), `json/not-json` and `json/forbidden-key` (naming
 * the field), `artifact/content` (likewise), `checkpoint/dtype` on complex64 and string weights.
 * @example
 * const files = await packArtifact({ model, notes: { thresholds: [0.9, 0.8] } });
 */
export function packArtifact(content: ArtifactContent): Promise<Map<string, Uint8Array>> {
  return withArtifact(content, hashPieces, async ({ files }) => {
    const packed = new Map<string, Uint8Array>();
    for (const { name, pieces } of files) packed.set(name, await joinPieces(pieces()));
    return packed;
  });
}

/** A file of an artifact before it is written. */
export interface ArtifactFile {
  readonly name: string;
  /** Its content, some megabytes at a time; any number of times. */
  pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** An artifact before it is written; the manifest is the last of its files. */
export interface DescribedArtifact {
  readonly files: readonly ArtifactFile[];
  readonly bytes: ArtifactBytes;
}

/** SHA-256 of a content, hex. */
type HashPieces = (pieces: AsyncIterable<Uint8Array>) => Promise<string>;

const hashPieces: HashPieces = async (pieces) => sha256Hex(await joinPieces(pieces));

async function joinPieces(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Uint8Array> {
  const list: Uint8Array[] = [];
  for await (const piece of pieces) list.push(piece);
  if (list.length === 1) return list[0]!;
  const joined = new Uint8Array(list.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of list) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

/** Hands the files of an artifact over to what writes them, which is not told again after it has returned. */
export async function withArtifact<T>(
  content: ArtifactContent,
  hash: HashPieces,
  use: (artifact: DescribedArtifact) => Promise<T>,
): Promise<T> {
  const { model } = content;
  if (!('topology' in model)) return use(await describeModel(content, model, hash));
  const built = buildModel(model);
  try {
    return await use(await describeModel(content, built, hash));
  } finally {
    disposeModel(built);
  }
}

/** Not without having seen that what is written computes what the model computes. */
async function describeModel(content: ArtifactContent, model: LayersModel, hash: HashPieces) {
  disposeModel(copyModel(model, (...key) => keyedRng('artifact', ...key)));
  const { topology, weights } = extractGraph(model);
  const file = await describeWeights(weights);
  return describeFiles(content, topology, file, await hash(file.pieces()));
}

async function describeFiles(
  { edits = [], plugins = [], provenance = {}, notes, words: list }: ArtifactContent,
  topology: Topology,
  { header, tensors, pieces }: WeightsFile,
  sha256: string,
): Promise<DescribedArtifact> {
  const words = list && (await encodeWords(list));
  const size = header.length + tensors.reduce((sum, tensor) => sum + countTensorBytes(tensor), 0);
  const weights = { file: weightsFile(sha256), sha256, bytes: size };
  const manifest = await encodeManifest({
    ...{ topology, edits, plugins, provenance, weights, notes },
    ...(words && { words: words.entry }),
  });
  const sizes = { manifest: manifest.length, words: words?.bytes.length ?? 0 };
  return {
    files: [
      { name: weights.file, pieces },
      ...(words ? [{ name: words.entry.file, pieces: () => [words.bytes] }] : []),
      { name: MANIFEST, pieces: () => [manifest] },
    ],
    bytes: sumTensors(tensors, { ...sizes, header: header.length }),
  };
}

/** A model of which some weights are not in memory. */
export interface MeasuredModel extends ModelGraph {
  /** Weights by path that the graph lacks. */
  readonly elsewhere: readonly DescribedTensor[];
  /** As in an artifact. */
  readonly words?: readonly string[] | undefined;
}

/**
 * Bytes of the artifact that a model would be, of which nothing is packed: for one whose matrices are too large for
 * memory.
 *
 * @example
 * const elsewhere = [{ name: 'words/embeddings', dtype: 'F32', shape: [1_000_000, 300] }] as const;
 * const { total } = await measureArtifact({ topology, weights: {}, elsewhere });
 */
export async function measureArtifact({
  topology,
  weights,
  elsewhere,
  words,
}: MeasuredModel): Promise<ArtifactBytes> {
  const inMemory = await describeWeights(weights);
  const order = new Map(topology.config.layers.map(({ name }, i) => [name, i]));
  const place = ({ name }: DescribedTensor) => order.get(name.slice(0, name.lastIndexOf('/'))) ?? 0;
  const tensors = [...inMemory.tensors, ...elsewhere].sort((a, b) => place(a) - place(b));
  const file = { ...inMemory, header: encodeSafetensorsHeader(tensors), tensors };
  const content = { model: { topology, weights }, words };
  return (await describeFiles(content, topology, file, '0'.repeat(64))).bytes;
}
