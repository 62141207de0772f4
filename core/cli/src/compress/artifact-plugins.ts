import { createRequire } from 'node:module';
import type { ArtifactPlugin } from '@espalier/formats';
import { ResetAfterGRU, ResetAfterGRUCell } from '@espalier/formats';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { CompressedModel } from './compress-model.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/** What registers the layers of a state dict that are not those of TensorFlow.js. */
export function findImportPlugins(model: LayersModel): ArtifactPlugin[] {
  const classes = [ResetAfterGRU, ResetAfterGRUCell].map(({ className }) => className);
  if (!model.layers.some((layer) => classes.includes(layer.getClassName()))) return [];
  return [{ id: 'interop', version, use: '@espalier/formats#ResetAfterGRU', layers: classes }];
}

/** A model with what is known of how it was made. */
export type Exported = Pick<CompressedModel, 'model' | 'inspection' | 'account'>;

/**
 * The plugins of an artifact: those of the input, then those of the run, with the layer classes that
 * each brought.
 */
export function listArtifactPlugins(
  result: Exported,
  before: readonly ArtifactPlugin[],
): ArtifactPlugin[] {
  const known = before.flatMap(({ layers = [] }) => layers);
  return [...before, ...listRunPlugins(result, known)];
}

/** Modules that have to be imported before a result is loaded. */
export function listModules(result: Exported, before: readonly ArtifactPlugin[]): string[] {
  const changing = new Set(result.account.map(({ plugin }) => plugin));
  const own = listRunPlugins(result, []).filter(({ id }) => changing.has(id));
  const uses = [...before, ...own].flatMap(({ use }) => use ?? []);
  return [...new Set(uses.map((use) => use.split('#')[0]!))];
}

function listRunPlugins(
  { inspection, account, model }: Exported,
  known: readonly string[],
): ArtifactPlugin[] {
  const classOf = new Map(model.layers.map((layer) => [layer.name, layer.getClassName()]));
  const first = new Map([...account].reverse().map(({ layer, plugin }) => [layer, plugin]));
  return Object.entries(inspection.manifest.plugins).map(([id, { version, use, options }]) => {
    const own = [...first].filter(([, plugin]) => plugin === id);
    const classes = new Set(own.map(([layer]) => classOf.get(layer)!));
    const layers = [...classes].filter((className) => !known.includes(className));
    return {
      id,
      version,
      options: summarizeArrays(options),
      ...(use !== 'inline' && { use }),
      ...(layers.length > 0 && { layers }),
    };
  });
}

/** The same without lists that are as long as a vocabulary: of these only the length is said. */
export function summarizeArrays(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length > 100 ? `${value.length} entries` : value.map(summarizeArrays);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, summarizeArrays(inner)]),
  );
}
