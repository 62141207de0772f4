import { storeMatrices } from '@espalier/compression';
import type { StoredEdit } from '@espalier/compression';
import { definePlugin } from '@espalier/core';
import type { ModelGraph } from '@espalier/core';
import { chooseMatrices, nothing } from './choose-matrices.js';
import { quantizerOptions } from './options.js';
import type { ParsedOptions } from './options.js';
import { storeMatrix } from './storage/store-matrix.js';

/**
 * Keeps matrices in codes of 8, 4, 3 or 2 bits: of Dense, Conv2D and Embedding layers, which become
 * `StoredDense`, …, and of layers with storages, such as low-rank ones. `session.transform()` does
 * it; the codes are frozen, all else trains on. A matrix that would not get smaller stays as it is.
 * With `qat`, the first transform only makes layers compute as with codes, training goes on, and a
 * second transform makes the codes.
 *
 * @throws EspalierError from the transform: `quantizer/…`.
 * @example
 * const session = await createSession({ …, plugins: [quantizer({ bits: 4, granularity: { group: 64 } })] });
 * await session.fit({ epochs: 10 });
 * await session.transform({ plugins: ['quantizer'] });
 * const account = compressionAccount(session.inspect().edits);
 */
export const quantizer = definePlugin({
  id: 'quantizer',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-quantizer#quantizer',
  options: quantizerOptions,
  effects: { 'structure:matrices': 'modify' },
  order: { after: ['block-low-rank'], optional: ['block-low-rank'] },
  stateless: true,
  apply(ctx, options) {
    ctx.hooks.transform.tap(async () => {
      const { graph } = ctx.model;
      const seedOf = (purpose: string) => ctx.random(purpose)();
      storeMatrices(ctx, graph, await store(graph, options, seedOf));
    });
  },
});

/** Every chosen matrix in its new storage, those left out that would not get smaller. */
async function store(
  graph: ModelGraph,
  options: ParsedOptions,
  seedOf: (purpose: string) => number,
): Promise<readonly StoredEdit[]> {
  const stored: StoredEdit[] = [];
  for (const place of chooseMatrices(graph, options)) {
    const read = async (weight: string) =>
      (await graph.weights[`${place.layer}/${weight}`]!.data()) as Float32Array;
    const result = await storeMatrix(
      place,
      read,
      options,
      seedOf(`${place.layer}/${place.matrix}`),
    );
    if (result) stored.push(result);
  }
  if (stored.length > 0) return stored;
  throw nothing('the matrices would not get smaller, or are excepted', graph);
}
