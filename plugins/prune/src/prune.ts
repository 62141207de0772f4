import { refuseConstraints, storeMatrices } from '@espalier/compression';
import type { StorableMatrix, StoredEdit } from '@espalier/compression';
import { definePlugin, EspalierError } from '@espalier/core';
import type { ModelGraph } from '@espalier/core';
import { findMatrices } from './choose-matrices.js';
import { pruneMatrix } from './magnitude.js';
import { pruneOptions } from './options.js';
import { SPARSE_KIND } from './sparse-storage.js';
import type { SparseConfig } from './sparse-storage.js';
import { countKept } from './target.js';

/**
 * Keeps the numbers of largest magnitude of each matrix and a bitmap of where they are, in the
 * `transform` phase of a trained model; fit again to retrain what is kept. `Dense`, `Conv2D` and
 * `Embedding` layers become `StoredDense`, …; a matrix that would not get smaller stays as it is.
 *
 * @throws EspalierError (in `transform`) `prune/…`: `nothing`, `layer`, `not-finite`, `budget`.
 * @see Han, Pool, Tran & Dally 2015, arXiv 1506.02626.
 * @example
 * const session = await createSession({ …run, plugins: [prune({ ratio: 4 })] });
 * await session.fit({ epochs: 10 });
 * await session.transform();
 * await session.fit({ epochs: 1 });
 */
export const prune = definePlugin({
  id: 'prune',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-prune#prune',
  options: pruneOptions,
  effects: { 'structure:matrices': 'modify' },
  order: {
    before: ['quantizer'],
    after: ['block-low-rank'],
    optional: ['quantizer', 'block-low-rank'],
  },
  stateless: true,
  apply(ctx, options) {
    refuseConstraints(ctx.model.graph, options, 'prune');
    ctx.hooks.transform.tap(async () => {
      const { graph } = ctx.model;
      refuseConstraints(graph, options, 'prune');
      const places = findMatrices(graph, options);
      const stored: StoredEdit[] = [];
      for (const [i, kept] of countKept(places, options).entries()) {
        const place = places[i]!;
        if (kept !== undefined) stored.push(await pruneWeight(graph, place, kept));
        ctx.progress(`${place.layer} pruned`, i + 1, places.length);
      }
      if (stored.length > 0) storeMatrices(ctx, graph, stored);
    });
  },
});

async function pruneWeight(
  graph: ModelGraph,
  place: StorableMatrix,
  count: number,
): Promise<StoredEdit> {
  const { layer, matrix, shape } = place;
  const data = (await graph.weights[`${layer}/${matrix}`]!.data()) as Float32Array;
  const [rows, columns] = shape;
  checkFinite(place, data);
  const { weights, error, norm } = pruneMatrix({ data, rows, columns }, count);
  const kept = weights.values.length;
  const config: SparseConfig = { kind: SPARSE_KIND, kept };
  const parts = Object.entries(weights).map(([part, numbers]) => [
    `${matrix}_${part}`,
    { data: numbers, shape: [numbers.length] },
  ]);
  const what = `${kept} of ${rows * columns} numbers kept`;
  return { place, config, weights: Object.fromEntries(parts), summary: what, error, norm };
}

function checkFinite({ layer, matrix, shape }: StorableMatrix, data: Float32Array): void {
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  throw new EspalierError('prune/not-finite', {
    problem: `layer '${layer}', matrix '${matrix}' is not finite at row ${Math.floor(bad / shape[1])}, column ${bad % shape[1]}`,
    received: data[bad],
    fix: 'Train again with a lower learning rate, or repair the weights.',
  });
}
