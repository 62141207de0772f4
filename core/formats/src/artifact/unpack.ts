import { EspalierError, sha256Hex } from '@espalier/base';
import { decodeSafetensors } from '@espalier/checkpoint';
import type { HostTensor } from '@espalier/checkpoint';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { buildComplete } from './build-complete.js';
import { damagedError, MANIFEST, parseManifest } from './manifest.js';
import type { ArtifactManifest, ArtifactPlugin, FileEntry } from './manifest.js';
import { checkDtypes, widen } from './stored-tensor.js';
import { decodeWords } from './words.js';

/** A model that was restored, and what its artifact says about it. */
export interface LoadedArtifact {
  /** The caller's, to dispose too. */
  readonly model: LayersModel;
  /** What the artifact says about itself. */
  readonly manifest: ArtifactManifest;
  /** The words that rows of its one word matrix stand for, where the artifact has them. */
  readonly words?: readonly string[];
}

/**
 * Restores the model of an artifact, bit for bit. `read` gives a file by its plain name. Classes of
 * layers must be registered, so import the plugins that made the model first. Everything is checked
 * before anything is built, and nothing is left behind when it throws.
 *
 * @throws EspalierError `artifact/manifest`, `artifact/newer-version`, `artifact/damaged`,
 * `artifact/dtype`, `artifact/unknown-layer`, `artifact/weights`, `safetensors/invalid`, `model/build`.
 * @example
 * const read = async (name: string) => new Uint8Array(await (await fetch(`model/${name}`)).arrayBuffer());
 * const { model } = await unpackArtifact(read);
 */
export async function unpackArtifact(
  read: (name: string) => Promise<Uint8Array>,
): Promise<LoadedArtifact> {
  const manifest = await parseManifest(await read(MANIFEST));
  const { tensors } = decodeSafetensors(await readChecked(manifest.weights, read));
  checkDtypes(tensors);
  const entry = manifest.words;
  const words = entry && decodeWords(entry.file, await readChecked(entry, read));
  return { model: buildStoredModel(manifest, tensors), manifest, ...(words && { words }) };
}

async function readChecked(
  { file, sha256, bytes: expected }: FileEntry,
  read: (name: string) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const bytes = await read(file);
  if (bytes.length !== expected) {
    throw damagedError(file, `it has ${bytes.length} bytes where the manifest says ${expected}`);
  }
  if ((await sha256Hex(bytes)) !== sha256) throw damagedError(file, 'its SHA-256 does not match');
  return bytes;
}

function buildStoredModel(
  { topology, plugins }: ArtifactManifest,
  tensors: ReadonlyMap<string, HostTensor>,
): LayersModel {
  const weights = Object.fromEntries([...tensors].map(([path, each]) => [path, widen(each)]));
  try {
    return buildComplete({ topology, weights });
  } catch (error) {
    throw isUnregistered(error) ? unknownLayerError(error, plugins) : error;
  } finally {
    tf.dispose(weights);
  }
}

function isUnregistered(error: unknown): error is EspalierError {
  return error instanceof EspalierError && error.code === 'model/unregistered-layer';
}

function unknownLayerError(
  cause: EspalierError,
  plugins: readonly ArtifactPlugin[],
): EspalierError {
  const { classNameMap } = tf.serialization.SerializationMap.getMap();
  const lacking = plugins.filter(({ layers = [] }) =>
    layers.some((className) => !Object.hasOwn(classNameMap, className)),
  );
  const suspects = (lacking.length > 0 ? lacking : plugins).map(
    ({ id, version, use }) => `${use?.split('#')[0] ?? `plugin '${id}'`} (version ${version})`,
  );
  const what = suspects.length > 0 ? suspects.join(', ') : 'the module that registers it';
  return new EspalierError('artifact/unknown-layer', {
    problem: cause.parts.problem,
    fix: `Import ${what} before loading.`,
    cause,
  });
}
