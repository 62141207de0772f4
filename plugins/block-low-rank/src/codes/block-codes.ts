import {
  BIT_ALLOCATOR,
  listMatrices,
  nameWeights,
  refuseConstraints,
  storeMatrices,
} from '@espalier/compression';
import type { Matrix, RowSource, StorableMatrix, StoredEdit } from '@espalier/compression';
import { definePlugin, EspalierError } from '@espalier/core';
import type { ModelGraph, PluginFactory } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { findCounts, findImportance } from '../layer-knowledge.js';
import type { Services } from '../layer-knowledge.js';
import { checkSides, findTargets, readMatrix, streamedRows } from '../layer-targets.js';
import type { LayerTarget } from '../layer-targets.js';
import { tiedMatrices } from '../layers/tied.js';
import type { TiedPair } from '../layers/tied.js';
import { layerOptions, tied } from '../options.js';
import type { ParsedOptions } from '../options.js';
import { codeRows } from './code-matrix.js';
import type { BlockCodedMatrix, CodeMatrixOptions } from './code-matrix.js';
import { codeTarget, isOneCodeTarget, ONE_CODE_TARGET, readTarget } from './options.js';
import type { ParsedCodeTarget } from './options.js';
import { leastBytes } from './plan.js';
import { sourceOf } from './row-source.js';
import { noteTiedRules, tieLayers } from './tie-layers.js';
import { findTraining, finishMatrix, leaveOut, trainFirst } from './training-layers.js';

/** The options of `blockCodes`, as data. */
export const blockCodesOptions = codeTarget
  .extend({
    ...layerOptions,
    tied,
    /** Quantization-aware training: the first transform lets layers compute as with codes, a second makes the codes. */
    qat: z.boolean().default(false),
  })
  .refine(isOneCodeTarget, ONE_CODE_TARGET);

/** Options of `blockCodes`. */
export type BlockCodesOptions = z.input<typeof blockCodesOptions>;

const effects = { 'structure:matrices': 'modify' } as const;

/**
 * Keeps embeddings and wide dense layers in codes, in the `transform` phase of a trained model: of each matrix, blocks of
 * rows, directions and bits are chosen together for the size or the error asked for, by {@link codeMatrix}. What
 * errors weigh is asked of `IMPORTANCE`, where there is a provider, and of `WORD_COUNTS`; bits are shared out by
 * `BIT_ALLOCATOR`, else by `allocateBits`. The codes are frozen; all else trains on. With `qat`, the first transform only
 * makes layers compute as with codes, training goes on, and a second transform makes the codes. An embedding and a dense
 * layer that hold one matrix share its codes.
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
      const training = findTraining(graph, options);
      const targets = findTargets(graph, leaveOut(options, graph, training), training.length > 0);
      const found = await Promise.all(
        targets.map(async (place) => ({ place, source: await openRows(graph, place) })),
      );
      const pairs = findPairs(found, options);
      const work = found.filter(({ place }) => !pairs.some(({ softmax }) => softmax === place));
      const whole = work.reduce((sum, { source }) => sum + countBytes(source), 0);
      const requests: LayerRequest[] = [];
      for (const { place, source } of work) {
        const known = await knowledgeOf(ctx, place, source);
        requests.push({ place, source, known, share: shareTarget(options, source, whole) });
      }
      checkBudget(requests, options, whole);
      const stored: StoredEdit[] = [];
      for (const place of training) {
        stored.push(await naming(place.layer, () => finishMatrix(graph, place)));
      }
      for (const { place, source, known, share } of requests) {
        const name = place.entry.name;
        const coded = await naming(name, () =>
          codeRows(source, {
            ...share,
            ...known,
            onProgress: (what, done, total) => ctx.progress(`${name}: ${what}`, done, total),
          }),
        );
        const edit = toEdit(listMatrices(graph, place.entry)[0]!, place, coded);
        const next = options.qat ? trainFirst(edit, coded) : edit;
        const other = pairs.find(({ embedding }) => embedding === place)?.softmax.entry;
        stored.push(noteTiedRules(next, other, options.qat));
      }
      if (stored.length > 0) storeMatrices(ctx, graph, stored);
      if (pairs.length > 0) tf.tidy(() => ctx.edit((before) => tieLayers(before, pairs)));
    });
  },
});

/** A matrix, one row per word or unit, with its numbers if they are in the model. */
type LayerRows = RowSource & { readonly matrix?: Matrix };

/** The rows of a layer's matrix: of the model, or of where they are read from. */
async function openRows(graph: ModelGraph, place: LayerTarget): Promise<LayerRows> {
  const streamed = streamedRows(place.entry);
  if (streamed) return streamed;
  const matrix = await readMatrix(graph, place);
  return { ...sourceOf(matrix), matrix };
}

function countBytes({ rows, columns }: RowSource): number {
  return 4 * rows * columns;
}

/** Pairs of layers of one matrix, among those whose numbers are in the model. */
function findPairs(
  found: readonly Pick<LayerRequest, 'place' | 'source'>[],
  options: Pick<ParsedOptions, 'tied'>,
): readonly TiedPair[] {
  const inModel = found.flatMap(({ place, source: { matrix } }) =>
    matrix ? [{ place, matrix }] : [],
  );
  return tiedMatrices(
    inModel.map(({ place }) => place),
    inModel.map(({ matrix }) => matrix),
    options,
  );
}

interface LayerRequest {
  readonly place: LayerTarget;
  readonly source: LayerRows;
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
  if (options.maxError !== undefined || requests.length === 0) return;
  const { bytes } = readTarget(options, whole) as { readonly bytes: number };
  const needs = requests.map(({ place, source, known }) => {
    const least = leastBytes(source.rows, source.columns, known.metric !== undefined);
    return { layer: place.entry.name, least, share: countBytes(source) / whole };
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
  source: RowSource,
  whole: number,
): CodeMatrixOptions {
  const all = readTarget({ ratio, budget, maxError }, whole);
  const bytes = countBytes(source);
  const own = 'error' in all ? { maxError } : { budget: (all.bytes * bytes) / whole };
  return { ...own, ...(objective && { objective }) };
}

async function knowledgeOf(
  services: Services,
  place: LayerTarget,
  { matrix, ...source }: LayerRows,
): Promise<Pick<CodeMatrixOptions, 'allocate' | 'counts' | 'importance' | 'metric'>> {
  const counts = findCounts(services, place, source);
  const weights = matrix && (await findImportance(services, place, matrix, counts));
  checkSides(place, source, weights ?? { rows: new Float64Array(0) });
  return {
    ...(counts && { counts }),
    ...(weights && { importance: weights.rows }),
    ...(weights?.metric && { metric: weights.metric }),
    ...(services.has(BIT_ALLOCATOR) && { allocate: services.get(BIT_ALLOCATOR).allocate }),
  };
}

/** Rows of a dense layer are columns of its kernel. */
function toEdit(place: StorableMatrix, { role }: LayerTarget, coded: BlockCodedMatrix): StoredEdit {
  const { config, error, weightedError, summary, squaredLength: norm } = coded;
  return {
    place,
    config: { ...config, ...(role === 'softmax' && { transposed: true }) },
    weights: nameWeights(place.matrix, coded.weights),
    summary,
    error: error ** 2 * norm,
    norm,
    weightedError,
    front: coded.predictFront(),
  };
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
