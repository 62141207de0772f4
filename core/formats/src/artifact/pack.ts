import { keyedRng, sha256Hex } from '@espalier/base';
import { encodeSafetensors, readTensors } from '@espalier/checkpoint';
import { buildModel, copyModel, disposeModel, extractGraph } from '@espalier/model';
import type { ModelGraph } from '@espalier/model';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { encodeManifest, MANIFEST, weightsFile } from './manifest.js';
import type { ArtifactManifest } from './manifest.js';
import { narrow } from './stored-tensor.js';
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
export async function packArtifact(content: ArtifactContent): Promise<Map<string, Uint8Array>> {
  const { model } = content;
  if (!('topology' in model)) return packModel(content, model);
  const built = buildModel(model);
  try {
    return await packModel(content, built);
  } finally {
    disposeModel(built);
  }
}

/** Not without having seen that what is written computes what the model computes. */
async function packModel(content: ArtifactContent, model: LayersModel) {
  disposeModel(copyModel(model, (...key) => keyedRng('artifact', ...key)));
  return packGraph(content, extractGraph(model));
}

async function packGraph(content: ArtifactContent, graph: ModelGraph) {
  const { edits = [], plugins = [], provenance = {}, notes } = content;
  const words = content.words && (await encodeWords(content.words));
  const tensors = await readTensors(graph.weights);
  const bytes = encodeSafetensors(
    [...tensors].map(([name, tensor]) => ({ name, ...narrow(tensor) })),
  );
  const sha256 = await sha256Hex(bytes);
  const weights = { file: weightsFile(sha256), sha256, bytes: bytes.length };
  const { topology } = graph;
  const manifest = await encodeManifest({
    ...{ topology, edits, plugins, provenance, weights, notes },
    ...(words && { words: words.entry }),
  });
  return new Map([
    [weights.file, bytes],
    ...(words ? [[words.entry.file, words.bytes] as const] : []),
    [MANIFEST, manifest],
  ]);
}
