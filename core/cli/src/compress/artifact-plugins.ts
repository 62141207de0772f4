import type { ArtifactPlugin } from '@espalier/artifact';
import type { Compressed } from './compressed.js';

/** The plugins of a run, as an artifact keeps them: with the layer classes that each brought. */
export function artifactPlugins({ inspection, account, model }: Compressed): ArtifactPlugin[] {
  const classOf = new Map(model.layers.map((layer) => [layer.name, layer.getClassName()]));
  const first = new Map([...account].reverse().map(({ layer, plugin }) => [layer, plugin]));
  return Object.entries(inspection.manifest.plugins).map(([id, { version, use, options }]) => {
    const own = [...first].filter(([, plugin]) => plugin === id);
    const layers = [...new Set(own.map(([layer]) => classOf.get(layer)!))];
    return {
      id,
      version,
      options: summarised(options),
      ...(use !== 'inline' && { use }),
      ...(layers.length > 0 && { layers }),
    };
  });
}

/** The same without lists that are as long as a vocabulary: of these only the length is said. */
export function summarised(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length > 100 ? `${value.length} entries` : value.map(summarised);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, summarised(inner)]));
}
