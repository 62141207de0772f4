import { definePlugin, EspalierError, replaceLayer, toCanonicalName } from '@espalier/core';
import type { LayerEntry, ModelGraph } from '@espalier/core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import { AdaptedDense } from './adapted-dense.js';
import type { DenseConfig } from './adapted-dense.js';

/**
 * Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685): every parameter of the model is frozen, each
 * dense layer gets two small matrices A and B, and only these train. `session.export({ dense: true })`
 * merges them: the exported model has ordinary dense layers.
 *
 * The edit happens in `apply`, so the run has the new layers before its first step. The plugin owns
 * `structure:matrices`: no other plugin may change how the matrices of layers are kept.
 *
 * @throws EspalierError `low-rank-adapters/no-dense` where there is no dense layer to adapt.
 * @example
 * const session = await createSession({ model: () => trained, plugins: [lowRankAdapters({ rank: 4 })], … });
 * await session.fit({ epochs: 3 });
 * const merged = session.export({ dense: true });
 */
export const lowRankAdapters = definePlugin({
  id: 'low-rank-adapters',
  version: '1.0.0',
  options: z.strictObject({
    /** Columns of A and rows of B. */
    rank: z.int().positive().default(4),
    /** Factor of A·B, in ranks: the adapter's output is scaled by alpha / rank. */
    alpha: z.number().positive().default(8),
    /** The dense layers to adapt, by name; default: all that are no part of a nested model. */
    layers: z.array(z.string()).optional(),
  }),
  effects: { 'structure:matrices': 'own' },
  stateless: true,
  apply(ctx, { rank, alpha, layers }) {
    ctx.edit(
      (graph) => {
        const { config } = graph.topology;
        const known = config.layers.map(({ name }) => name);
        const wanted = layers?.map((name) => toCanonicalName(name, known, graph.ownNames ?? {}));
        const found = config.layers
          .filter(({ className }) => className === 'Dense')
          .filter(({ name }) => wanted?.includes(name) ?? true);
        checkFound(found, wanted);
        const adapt = (edited: ModelGraph, entry: LayerEntry) =>
          addAdapter(edited, entry, { rank, scale: alpha / rank });
        return found.reduce(adapt, graph);
      },
      { rank, alpha },
    );
    freezeOthers(ctx.model.layersModel);
  },
});

/** After an edit the model is the run's own, so the flags of the user's model stay as they are. */
function freezeOthers(model: LayersModel): void {
  for (const layer of model.layers) {
    if (!(layer instanceof AdaptedDense)) layer.trainable = false;
  }
}

/** Puts an adapted layer in a dense layer's place: the same name and weights, A and B beside them. */
function addAdapter(
  graph: ModelGraph,
  { name, config }: LayerEntry,
  options: { readonly rank: number; readonly scale: number },
): ModelGraph {
  const path = (weight: string) => `${name}/${weight}`;
  const kernel = graph.weights[path('kernel')]!;
  const bias = graph.weights[path('bias')];
  const layer = new AdaptedDense({ dense: config as unknown as DenseConfig, ...options });
  return replaceLayer(graph, name, layer, { kernel, ...(bias && { bias }) });
}

function checkFound(found: readonly LayerEntry[], layers: readonly string[] | undefined): void {
  const missing = layers?.find((name) => !found.some((entry) => entry.name === name));
  if (missing === undefined && found.length > 0) return;
  throw new EspalierError('low-rank-adapters/no-dense', {
    problem:
      missing === undefined
        ? "plugin 'low-rank-adapters' finds no dense layer in the model"
        : `plugin 'low-rank-adapters' finds no dense layer '${missing}' (option 'layers')`,
    fix: 'Name dense layers of the model itself; layers of nested models cannot be adapted.',
  });
}
