import { canonicalJson, sha256Hex } from '@espalier/base';
import type { KeyedRng } from '@espalier/core';
import { packArtifact } from '@espalier/formats';
import { loadArtifact } from '@espalier/formats/node';
import { disposeModel } from '@espalier/model';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { damageFiles, damageJson, replaceFile } from '../damage.js';
import type { Reader, Sample } from '../reader.js';
import { makeModel, makeSequential } from './models.js';
import { json, parse } from './text.js';

const MANIFEST = 'manifest.json';
type Json = Record<string, unknown>;

async function makeSample(name: string, model: LayersModel, words?: string[]): Promise<Sample> {
  const files = Object.fromEntries(await packArtifact({ model, words, notes: { a: [1] } }));
  disposeModel(model);
  return { name, files, open: '.' };
}

/** A manifest whose hash is right whatever else is wrong, as far as it has one. */
async function sign(content: unknown): Promise<Uint8Array> {
  try {
    const { provenance } = content as { provenance: Json };
    const unsigned = { ...(content as Json), provenance: { ...provenance, hash: undefined } };
    const hash = await sha256Hex(Buffer.from(canonicalJson(unsigned)));
    return json({ ...(content as Json), provenance: { ...provenance, hash } });
  } catch {
    return json(content);
  }
}

/** Most have right hashes, so that what is behind them is read. */
async function damage(sample: Sample, draw: KeyedRng): Promise<Sample> {
  const manifest = parse(sample.files[MANIFEST]!) as Json;
  const way = draw();
  if (way < 0.2) return damageFiles(sample, draw);
  if (way < 0.7) return replaceFile(sample, MANIFEST, await sign(damageJson(manifest, draw)));
  const others = Object.fromEntries(
    Object.entries(sample.files).filter(([name]) => name !== MANIFEST),
  );
  const damaged = damageFiles({ ...sample, files: others }, draw);
  return withHashes(damaged, manifest);
}

/** Files under the names that their content gives, and the manifest that names them. */
async function withHashes(sample: Sample, manifest: Json): Promise<Sample> {
  const files: Record<string, Uint8Array> = {};
  const changed = { ...manifest };
  for (const field of ['weights', 'words']) {
    const entry = manifest[field] as { file: string } | undefined;
    if (!entry) continue;
    const bytes = sample.files[entry.file]!;
    const sha256 = await sha256Hex(bytes);
    const file = entry.file.replace(/-[0-9a-f]{16}\./, `-${sha256.slice(0, 16)}.`);
    changed[field] = { file, sha256, bytes: bytes.length };
    files[file] = bytes;
  }
  return { ...sample, files: { ...files, [MANIFEST]: await sign(changed) } };
}

type Layer = { name: string; inboundNodes: unknown };

async function withLayers(
  name: string,
  sample: Sample,
  change: (layers: Layer[]) => void,
): Promise<Sample> {
  const manifest = parse(sample.files[MANIFEST]!);
  change((manifest as { topology: { config: { layers: Layer[] } } }).topology.config.layers);
  return { ...replaceFile(sample, MANIFEST, await sign(manifest)), name };
}

export async function makeArtifacts(): Promise<Reader> {
  const graph = await makeSample('a graph', makeModel(), ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  return {
    name: 'artifacts',
    samples: [graph, await makeSample('a row', makeSequential())],
    found: [
      await withLayers('layers named twice', graph, (layers) => layers.push(layers[1]!)),
      await withLayers('a call of nothing', graph, (layers) => {
        layers[1]!.inboundNodes = [[]];
      }),
    ],
    damage,
    read: async (folder) => disposeModel((await loadArtifact(folder)).model),
  };
}
