import {
  BIT_ALLOCATOR,
  listMatrices,
  refuseConstraints,
  storeMatrices,
} from '@espalier/compression';
import type { HostWeight, Matrix, StorableMatrix, StoredEdit } from '@espalier/compression';
import { definePlugin, EspalierError } from '@espalier/core';
import type { PluginFactory } from '@espalier/core';
import type { z } from 'zod';
import { findCounts, findImportance } from '../layer-knowledge.js';
import type { Services } from '../layer-knowledge.js';
import { checkSides, findTargets, readMatrix } from '../layer-targets.js';
import type { LayerTarget } from '../layer-targets.js';
import { layerOptions } from '../options.js';
import { codeMatrix } from './code-matrix.js';
import type { BlockCodedMatrix, CodeMatrixOptions } from './code-matrix.js';
import { codeTarget, isOneCodeTarget, ONE_CODE_TARGET, readTarget } from './options.js';
import type { ParsedCodeTarget } from './options.js';
import { leastBytes } from './plan.js';

/** The options of `blockCodes`, as data. */
export const blockCodesOptions = codeTarget
  .extend(layerOptions)
  .refine(isOneCodeTarget, ONE_CODE_TARGET);

/** Options of `blockCodes`. */
export type BlockCodesOptions = z.input<typeof blockCodesOptions>;

const effects = { 'structure:matrices': 'modify' } as const;

/**
 * Keeps embeddings and wide dense layers in codes, in the `transform` phase of a trained model: of each matrix, blocks of
 * rows, directions and bits are chosen together for the size or the error asked for, by {@link codeMatrix}. What
 * errors weigh is asked of `IMPORTANCE`, where there is a provider, and of `WORD_COUNTS`; bits are shared out by
 * `BIT_ALLOCATOR`, else by `allocateBits`. The codes are frozen; all else trains on.
 *
 * @throws EspalierError (in `transform`) `block-codes/…`, and of layers `block-low-rank/nothing`, `block-low-rank/layer`,
 * `block-low-rank/wide`, `block-low-rank/not-finite`.
 * @example
 * const session = await createSession({
 *   plugins: [vocabPartition({ counts }), blockCodes({ ratio: 16 })], …run,
 * });
 * await session.transform();
 * const small = session.export();
 */
export const blockCodes: PluginFactory<typeof blockCodesOptions, typeof effects> = definePlugin({
  id: 'block-codes',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-block-low-rank#blockCodes',
  options: blockCodesOptions,
  effects,
  order: { optional: ['vocab-partition', 'word-importance'] },
  stateless: true,
  apply(ctx, options) {
    refuseConstraints(ctx.model.graph, options, 'block-codes');
    ctx.hooks.transform.tap(async () => {
      const { graph } = ctx.model;
      refuseConstraints(graph, options, 'block-codes');
      const found = findTargets(graph, options);
      const matrices = await Promise.all(found.map((place) => readMatrix(graph, place)));
      const whole = matrices.reduce((sum, { data }) => sum + data.byteLength, 0);
      const requests: LayerRequest[] = [];
      for (const [i, place] of found.entries()) {
        const matrix = matrices[i]!;
        const known = await knowledgeOf(ctx, place, matrix);
        requests.push({ place, matrix, known, share: shareTarget(options, matrix, whole) });
      }
      checkBudget(requests, options, whole);
      const stored: StoredEdit[] = [];
      for (const { place, matrix, known, share } of requests) {
        const name = place.entry.name;
        const coded = await naming(name, () =>
          codeMatrix(matrix, {
            ...share,
            ...known,
            onProgress: (what, done, total) => ctx.progress(`${name}: ${what}`, done, total),
          }),
        );
        stored.push(toEdit(listMatrices(graph, place.entry)[0]!, place, matrix, coded));
      }
      if (stored.length > 0) storeMatrices(ctx, graph, stored);
    });
  },
});

interface LayerRequest {
  readonly place: LayerTarget;
  readonly matrix: Matrix;
  readonly known: Awaited<ReturnType<typeof knowledgeOf>>;
  readonly share: CodeMatrixOptions;
}

/**
 * Refuses a size that some matrix cannot keep, before anything is computed.
 *
 * @throws EspalierError `block-codes/budget`, with `details`: `{ layer, leastBytes }` and `smallestBudget` or
 * `largestRatio`.
 */
function checkBudget(
  requests: readonly LayerRequest[],
  options: ParsedCodeTarget,
  whole: number,
): void {
  if (options.maxError !== undefined) return;
  const { bytes } = readTarget(options, whole) as { readonly bytes: number };
  const needs = requests.map(({ place, matrix: { rows, columns, data }, known }) => {
    const least = leastBytes(rows, columns, known.metric !== undefined);
    return { layer: place.entry.name, least, share: data.byteLength / whole };
  });
  const largest = needs.reduce((a, b) => (b.least / b.share > a.least / a.share ? b : a));
  const smallestBudget = Math.ceil(largest.least / largest.share);
  if (bytes >= smallestBudget) return;
  const { layer, least: leastOfLayer } = largest;
  const problem = `layer '${layer}' takes ${leastOfLayer} bytes at least (one bit a row)`;
  const asRatio = options.budget === undefined;
  const largestRatio = Math.floor((100 * whole) / smallestBudget) / 100;
  throw new EspalierError('block-codes/budget', {
    problem: asRatio
      ? `${problem}, so the largest possible ratio is ${largestRatio}`
      : `the smallest possible budget is ${smallestBudget} bytes: ${problem}, and budgets are divided by size`,
    received: options.budget ?? options.ratio,
    fix: asRatio
      ? 'Allow a lower ratio, or leave the layer out.'
      : 'Allow more bytes, or leave the layer out.',
    details: {
      layer,
      leastBytes: leastOfLayer,
      ...(asRatio ? { largestRatio } : { smallestBudget }),
    },
  });
}

/** Of a budget for all, a matrix's share is by its size. */
function shareTarget(
  { ratio, budget, maxError, objective }: ParsedCodeTarget,
  { data }: Matrix,
  whole: number,
): CodeMatrixOptions {
  const all = readTarget({ ratio, budget, maxError }, whole);
  const { byteLength } = data;
  const own = 'error' in all ? { maxError } : { budget: (all.bytes * byteLength) / whole };
  return { ...own, ...(objective && { objective }) };
}

async function knowledgeOf(
  services: Services,
  place: LayerTarget,
  matrix: Matrix,
): Promise<Pick<CodeMatrixOptions, 'allocate' | 'counts' | 'importance' | 'metric'>> {
  const counts = findCounts(services, place, matrix);
  const weights = await findImportance(services, place, matrix, counts);
  checkSides(place, matrix, weights ?? { rows: new Float64Array(0) });
  return {
    ...(counts && { counts }),
    ...(weights && { importance: weights.rows }),
    ...(weights?.metric && { metric: weights.metric }),
    ...(services.has(BIT_ALLOCATOR) && { allocate: services.get(BIT_ALLOCATOR).allocate }),
  };
}

/** Rows of a dense layer are columns of its kernel. */
function toEdit(
  place: StorableMatrix,
  { role }: LayerTarget,
  { data }: Matrix,
  coded: BlockCodedMatrix,
): StoredEdit {
  const { config, error, weightedError, summary } = coded;
  const norm = data.reduce((sum, value) => sum + value ** 2, 0);
  return {
    place,
    config: { ...config, ...(role === 'softmax' && { transposed: true }) },
    weights: nameWeights(place.matrix, coded),
    summary,
    error: error ** 2 * norm,
    norm,
    weightedError,
    front: coded.predictFront(),
  };
}

function nameWeights(matrix: string, { weights }: BlockCodedMatrix): StoredEdit['weights'] {
  const named = Object.entries(weights).map(([part, data]): [string, HostWeight] => [
    `${matrix}_${part}`,
    { data, shape: [data.length] },
  ]);
  return Object.fromEntries(named);
}

/** Adds the layer to what is wrong. */
async function naming<T>(layer: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    const { parts } = error;
    const details = { ...(parts.details as object | undefined), layer };
    throw new EspalierError(error.code, {
      ...parts,
      problem: `layer '${layer}': ${parts.problem}`,
      details,
    });
  }
}
