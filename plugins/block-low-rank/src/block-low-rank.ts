import {
  describeRules,
  RANK_ALLOCATOR,
  refuseConstraints,
  VOCAB_PARTITIONER,
} from '@espalier/compression';
import type { CompressionEntry, ImportanceWeights, Matrix } from '@espalier/compression';
import { definePlugin } from '@espalier/core';
import type { PluginFactory } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { checkBudget, computeTarget, sumSizes } from './budget.js';
import type { LayerRequest } from './budget.js';
import { findCounts, findImportance } from './layer-knowledge.js';
import type { Services } from './layer-knowledge.js';
import { checkSides, readMatrix, findTargets } from './layer-targets.js';
import type { LayerTarget } from './layer-targets.js';
import { replaceLayers } from './layers/replace-layers.js';
import type { Approximation } from './layers/replace-layers.js';
import { mapPairs, tiedMatrices, noteMovedRules } from './layers/tied.js';
import { approximate } from './maths/approximate.js';
import { listPartitions } from './maths/plan.js';
import type { ErrorOrSize } from './maths/plan.js';
import { greedyRanks } from './maths/rank-rules.js';
import { blockLowRankOptions } from './options.js';

const effects = { 'structure:matrices': 'modify' } as const;

/**
 * Puts block-wise low-rank layers in the place of embeddings and wide dense layers, in the
 * `transform` phase of a trained model; fit again to retrain the factors. How the vocabulary is cut,
 * how errors are weighted and how ranks are shared out is asked of `VOCAB_PARTITIONER`,
 * `IMPORTANCE` and `RANK_ALLOCATOR`; without providers: one block, all alike, error-greedy.
 *
 * @throws EspalierError (in `transform`) `block-low-rank/…`: `nothing`, `layer`, `wide`, `not-finite`,
 * `budget`, `rank`, `tied`.
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950.
 * @example
 * const session = await createSession({
 *   plugins: [vocabPartition({ counts }), blockLowRank({ ratio: 4 })], …run,
 * });
 * await session.transform();
 * await session.fit({ epochs: 1 });
 */
export const blockLowRank: PluginFactory<typeof blockLowRankOptions, typeof effects> = definePlugin(
  {
    id: 'block-low-rank',
    version: '0.1.0',
    exportedAs: '@espalier/plugin-block-low-rank#blockLowRank',
    options: blockLowRankOptions,
    effects,
    order: { optional: ['vocab-partition', 'word-importance', 'rank-rule'] },
    stateless: true,
    apply(ctx, options) {
      refuseConstraints(ctx.model.graph, options, 'block-low-rank');
      ctx.hooks.transform.tap(async () => {
        const { graph } = ctx.model;
        refuseConstraints(graph, options, 'block-low-rank');
        const found = findTargets(graph, options);
        const matrices = await Promise.all(found.map((place) => readMatrix(graph, place)));
        const tied = tiedMatrices(found, matrices, options);
        const alone = found.map((place, i) => ({ place, matrix: matrices[i]! }));
        const work = alone.filter(({ place }) => !tied.some(({ softmax }) => softmax === place));
        const total = sumSizes(work);
        const requests: LayerRequest[] = [];
        for (const { place, matrix } of work) {
          requests.push(
            await requestFor(ctx, place, matrix, computeTarget(options, matrix, total)),
          );
        }
        checkBudget(requests, options);
        const made: Approximation[] = [];
        for (const [i, request] of requests.entries()) {
          const { place } = request;
          made.push({ place, lowRank: await approximate(request) });
          ctx.progress(`${place.entry.name} factorised`, i + 1, requests.length);
        }
        if (made.length === 0) return;
        const detail = { compression: made.map((each) => noteMovedRules(report(each), tied)) };
        tf.tidy(() => ctx.edit((before) => replaceLayers(before, made, mapPairs(tied)), detail));
      });
    },
  },
);

async function requestFor(
  services: Services,
  place: LayerTarget,
  matrix: Matrix,
  target: ErrorOrSize,
): Promise<LayerRequest> {
  const counts = findCounts(services, place, matrix);
  const importance = (await findImportance(services, place, matrix, counts)) ?? weighAlike(matrix);
  checkSides(place, matrix, importance);
  const partitioner = services.has(VOCAB_PARTITIONER) ? services.get(VOCAB_PARTITIONER) : undefined;
  return {
    place,
    matrix,
    importance,
    counts,
    partitions: listPartitions(matrix, counts, partitioner),
    partitioner,
    allocator: services.has(RANK_ALLOCATOR) ? services.get(RANK_ALLOCATOR) : greedyRanks,
    target,
  };
}

function report({ place: { entry }, lowRank }: Approximation): CompressionEntry {
  const { rows, columns, bytes, error, weightedError, summary } = lowRank;
  return {
    layer: entry.name,
    summary: [summary, ...describeRules(entry, true)].join('; '),
    bytesBefore: 4 * rows * columns,
    bytesAfter: bytes,
    relativeError: error,
    weightedError,
  };
}

function weighAlike({ rows }: Matrix): ImportanceWeights {
  return { rows: new Float64Array(rows).fill(1) };
}
