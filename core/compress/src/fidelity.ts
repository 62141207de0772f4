import { compareRows, floorCounts, frequencyDeciles, rowReader } from '@espalier/compression';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { CompressedModel } from './compress-model.js';

type Layer = LayersModel['layers'][number];

/** How close the matrix of a layer is to the original one. */
export interface LayerFidelity {
  readonly layer: string;
  /** Rows of the matrix. */
  readonly words: number;
  /** ‖A − Ã‖ / ‖A‖, in the Frobenius norm. */
  readonly error: number;
  /** The same with rows weighted by word counts; only where counts of these rows are given. */
  readonly weightedError?: number;
  /**
   * Relative error, and the share of the ten nearest words that stay, of each tenth of the rows: the most
   * frequent first; without counts in their order. Only where rows are words.
   */
  readonly deciles?: { readonly errors: readonly number[]; readonly overlaps: readonly number[] };
}

/** Two models to compare. */
export interface MeasureOptions {
  readonly original: LayersModel;
  readonly compressed: Pick<CompressedModel, 'model' | 'steps'>;
  /** How often each word occurs, by row. */
  readonly counts?: ArrayLike<number> | undefined;
  /** Called with the rows of a layer that were read to compare them, and all that will be. */
  readonly onRows?: ((layer: string, done: number, total: number) => void) | undefined;
}

/**
 * Compares every compressed matrix, decoded row by row, with the original one. Layers whose rows cannot be
 * decoded are left out.
 *
 * @example
 * const [embedding] = await measureFidelity({ original: trained, compressed });
 * console.log(embedding.error);
 */
export async function measureFidelity(options: MeasureOptions): Promise<LayerFidelity[]> {
  const found: LayerFidelity[] = [];
  for (const name of listChangedLayers(options)) {
    const fidelity = await measureLayer(name, options);
    if (fidelity) found.push(fidelity);
  }
  return found;
}

/** The largest error of a matrix, weighted where there are counts. */
export async function findWorstError(options: MeasureOptions): Promise<number> {
  let worst = 0;
  for (const name of listChangedLayers(options)) {
    const pair = await openPair(name, options);
    if (!pair) continue;
    const { before, after, weights } = pair;
    const { error, weightedError = error } = await compareRows(before, after, { weights });
    worst = Math.max(worst, weightedError);
  }
  return worst;
}

async function measureLayer(
  name: string,
  options: MeasureOptions,
): Promise<LayerFidelity | undefined> {
  const pair = await openPair(name, options);
  if (!pair) return undefined;
  const { before, after, weights, isWords } = pair;
  const deciles = isWords ? frequencyDeciles(before.rows, weights && options.counts) : undefined;
  const onRows = (done: number, total: number) => options.onRows?.(name, done, total);
  const compared = await compareRows(before, after, { weights, deciles, onRows });
  return { layer: name, words: before.rows, ...compared };
}

function listChangedLayers({ compressed: { steps } }: MeasureOptions): readonly string[] {
  return [...new Set(steps.map(({ layer }) => layer))];
}

/** The rows of a layer's matrix in both models. */
async function openPair(name: string, { original, compressed, counts }: MeasureOptions) {
  const layer = original.getLayer(name);
  const words = countWords(layer);
  if (words === undefined) return undefined;
  const readBefore = rowReader(layer);
  const readAfter = rowReader(compressed.model.getLayer(name));
  if (!readBefore || !readAfter) return undefined;
  const { length: columns } = await readAfter(0, 1);
  const before = { rows: words, columns, readRows: readBefore };
  const counted = counts?.length === words;
  const wide = words >= 2 * before.columns;
  return {
    before,
    after: { ...before, readRows: readAfter },
    ...(counted && { weights: floorCounts(Float64Array.from(counts)) }),
    isWords: counted || isEmbedding(layer) || (!counts && wide),
  };
}

/** Rows of a layer's word matrix; `undefined` for layers without one. */
export function countWords(layer: Layer): number | undefined {
  const { inputDim, units, blocks } = layer.getConfig() as Readonly<Record<string, unknown>>;
  const rows = (blocks as readonly { readonly rows: number }[] | undefined)?.map((b) => b.rows);
  return (inputDim ?? units ?? rows?.reduce((a, b) => a + b, 0)) as number | undefined;
}

function isEmbedding(layer: Layer): boolean {
  return 'outputDim' in layer.getConfig();
}
