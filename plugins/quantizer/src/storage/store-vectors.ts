import { nameWeights } from '@espalier/compression';
import type { Matrix, StoredEdit } from '@espalier/compression';
import type { QuantizedMatrix } from '../choose-matrices.js';
import type { Bits } from '../maths/packing.js';
import type { VectorCodebook } from '../options.js';
import { computeVectorLayout } from '../vectors/layout.js';
import type { QuantizedVectors, VectorConfig } from '../vectors/layout.js';
import { transposeMatrix } from '../vectors/points.js';
import { quantizeProducts } from '../vectors/products.js';
import { quantizeResiduals } from '../vectors/residuals.js';
import { computeCost, naming } from './edit-parts.js';

/** How to code vectors, and the seed of the draws. */
export interface VectorRequest {
  readonly bits: Bits;
  readonly codebook: VectorCodebook;
  readonly seed: number;
}

/**
 * A matrix in codes of vectors; `undefined` where they would not be smaller, which is known before they are
 * computed. Of a kernel, the columns are coded: what leads to one output.
 */
export async function storeVectors(
  place: QuantizedMatrix,
  matrix: Matrix,
  request: VectorRequest,
): Promise<StoredEdit | undefined> {
  const config = configOf(place, request);
  return naming(place, async () => {
    const { parts } = computeVectorLayout(config, place.shape);
    const bytes = Object.values(parts).reduce((sum, length) => sum + 4 * length, 0);
    if (bytes >= matrix.data.byteLength) return undefined;
    const rows = config.transposed ? transposeMatrix(matrix) : matrix;
    const { weights, error } = await quantizeRows(rows, request);
    const stored = { config, weights: nameWeights(place.matrix, weights) };
    return { place, ...stored, summary: inWords(config), ...computeCost(matrix, { error }) };
  });
}

function quantizeRows(
  rows: Matrix,
  { bits, codebook, seed }: VectorRequest,
): Promise<QuantizedVectors> {
  return 'parts' in codebook
    ? quantizeProducts(rows, { ...codebook, bits, seed })
    : quantizeResiduals(rows, { ...codebook, bits, seed });
}

function configOf({ prefer }: QuantizedMatrix, { bits, codebook }: VectorRequest): VectorConfig {
  const common = { bits, ...(prefer === 'column' && { transposed: true as const }) };
  return 'parts' in codebook
    ? {
        kind: 'product',
        parts: codebook.parts,
        ...common,
        ...(codebook.rotate && { rotated: true as const }),
      }
    : { kind: 'residual', stages: codebook.stages, ...common };
}

/** `8 bits, 50 parts a row, rotated`. */
function inWords(config: VectorConfig): string {
  const per = config.transposed ? 'column' : 'row';
  if (config.kind === 'residual') return `${config.bits} bits, ${config.stages} stages a ${per}`;
  const rotated = config.rotated ? ', rotated' : '';
  return `${config.bits} bits, ${config.parts} parts a ${per}${rotated}`;
}
