import type { ArtifactManifest, MeasuredModel } from '@espalier/formats';

type Topology = ArtifactManifest['topology'];

/** The topology with plain embeddings in place of those whose matrix is elsewhere. */
export function plainTopology(topology: Topology, elsewhere: MeasuredModel['elsewhere']): Topology {
  const names = elsewhere.map(({ name }) => name.slice(0, name.lastIndexOf('/')));
  const layers = topology.config.layers.map((entry) => {
    if (!names.includes(entry.name)) return entry;
    const config = { ...entry.config, storage: undefined }; // which JSON leaves out
    return { ...entry, className: 'Embedding', config };
  });
  return { ...topology, config: { ...topology.config, layers } };
}
