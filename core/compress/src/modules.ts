import type { ArtifactPlugin } from '@espalier/formats';
import type { CompressedModel } from './compress-model.js';

/** A model with the run that made it. */
export type ExportedModel = Pick<CompressedModel, 'model' | 'inspection' | 'steps'>;

/**
 * The `plugins` of the artifact of a result: those of the input, then those of the run, each with the layer
 * classes that it brought.
 *
 * @param before The plugins of the input, where it was an artifact.
 */
export function listArtifactPlugins(
  result: ExportedModel,
  before: readonly ArtifactPlugin[] = [],
): ArtifactPlugin[] {
  const known = before.flatMap(({ layers = [] }) => layers);
  return [...before, ...listRunPlugins(result, known)];
}

/**
 * The modules that must be imported before the result is loaded, since they register its layers.
 *
 * @param before The plugins of the input, where it was an artifact.
 */
export function listModules(
  result: ExportedModel,
  before: readonly ArtifactPlugin[] = [],
): string[] {
  const changing = new Set(result.steps.map(({ plugin }) => plugin));
  const own = listRunPlugins(result, []).filter(({ id }) => changing.has(id));
  const uses = [...before, ...own].flatMap(({ use }) => use ?? []);
  return [...new Set(uses.map((use) => use.split('#')[0]!))];
}

function listRunPlugins(
  { inspection, steps, model }: ExportedModel,
  known: readonly string[],
): ArtifactPlugin[] {
  const classes = new Map(model.layers.map((layer) => [layer.name, layer.getClassName()]));
  const first = new Map([...steps].reverse().map(({ layer, plugin }) => [layer, plugin]));
  return Object.entries(inspection.manifest.plugins).map(([id, { version, use, options }]) => {
    const own = [...first].filter(([, plugin]) => plugin === id);
    const brought = new Set(own.map(([layer]) => classes.get(layer)!));
    const layers = [...brought].filter((className) => !known.includes(className));
    return {
      id,
      version,
      options: shortenLists(options),
      ...(use !== 'inline' && { use }),
      ...(layers.length > 0 && { layers }),
    };
  });
}

/** The same data, with `'<n> entries'` in place of each list of more than 100 elements, such as word counts. */
export function shortenLists(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length > 100 ? `${value.length} entries` : value.map(shortenLists);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, shortenLists(inner)]),
  );
}
