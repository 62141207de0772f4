import {
  decileErrors,
  floorCounts,
  frequencyDeciles,
  neighbourOverlap,
  relativeError,
  readRows,
} from '@espalier/compression';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { CompressedModel } from './compress-model.js';

type Layer = LayersModel['layers'][number];

/** What a matrix is like after compression. */
export interface LayerFidelity {
  readonly layer: string;
  readonly words: number;
  /** ‖A − Ã‖ / ‖A‖. */
  readonly error: number;
  /** The same, words weighed by their counts; where there are counts of them. */
  readonly weightedError?: number;
  /** By decile, most frequent words first; where rows are words. */
  readonly deciles?: { readonly errors: readonly number[]; readonly overlaps: readonly number[] };
}

interface MeasureOptions {
  readonly original: LayersModel;
  readonly compressed: CompressedModel;
  readonly counts?: Float64Array | undefined;
}

/** Compares every matrix that was changed, read back row by row, with what it was. */
export async function measureFidelity(measuring: MeasureOptions): Promise<LayerFidelity[]> {
  const found: LayerFidelity[] = [];
  for (const name of listChangedLayers(measuring)) {
    const fidelity = await measureLayer(name, measuring);
    if (fidelity) found.push(fidelity);
  }
  return found;
}

/** The largest error among the matrices: weighted where there are counts and they weigh. */
export async function findWorstError(measuring: MeasureOptions): Promise<number> {
  let worst = 0;
  for (const name of listChangedLayers(measuring)) {
    const pair = await listMatrices(name, measuring);
    if (!pair) continue;
    const { before, after, weights } = pair;
    worst = Math.max(worst, relativeError(before, after, weights && { weights }));
  }
  return worst;
}

async function measureLayer(
  name: string,
  measuring: MeasureOptions,
): Promise<LayerFidelity | undefined> {
  const pair = await listMatrices(name, measuring);
  if (!pair) return undefined;
  const { before, after, weights, isWords } = pair;
  const deciles = frequencyDeciles(before.rows, weights && measuring.counts);
  return {
    layer: name,
    words: before.rows,
    error: relativeError(before, after),
    ...(weights && { weightedError: relativeError(before, after, { weights }) }),
    ...(isWords && {
      deciles: {
        errors: decileErrors(before, after, deciles),
        overlaps: await neighbourOverlap(before, after, deciles),
      },
    }),
  };
}

function listChangedLayers({ compressed: { account } }: MeasureOptions): readonly string[] {
  return [...new Set(account.map(({ layer }) => layer))];
}

async function listMatrices(name: string, { original, compressed, counts }: MeasureOptions) {
  const layer = original.getLayer(name);
  const words = countWords(layer);
  if (words === undefined) return undefined;
  const before = await readRows(layer, words);
  const after = await readRows(compressed.model.getLayer(name), words);
  if (!before || !after) return undefined;
  const counted = counts?.length === words;
  const wide = words >= 2 * before.columns;
  return {
    before,
    after,
    ...(counted && { weights: floorCounts(counts) }),
    isWords: counted || isEmbedding(layer) || (!counts && wide),
  };
}

/** Rows of a layer's word matrix; `undefined` for layers without one. */
function countWords(layer: Layer): number | undefined {
  const { inputDim, units, blocks } = layer.getConfig() as Readonly<Record<string, unknown>>;
  const rows = (blocks as readonly { readonly rows: number }[] | undefined)?.map((b) => b.rows);
  return (inputDim ?? units ?? rows?.reduce((a, b) => a + b, 0)) as number | undefined;
}

function isEmbedding(layer: Layer): boolean {
  return 'outputDim' in layer.getConfig();
}
