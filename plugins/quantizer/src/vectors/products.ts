import type { Matrix } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import type { KeyedRng } from '@espalier/core';
import { project } from '@espalier/linalg';
import { checkError } from '../maths/check.js';
import { getShape } from '../maths/granularity.js';
import { pack } from '../maths/packing.js';
import type { Bits } from '../maths/packing.js';
import { checkVectors } from './check-vectors.js';
import { findDistinct } from './distinct.js';
import { encodeParts } from './encode-parts.js';
import { computeVectorLayout } from './layout.js';
import type { Piece, QuantizedVectors, VectorConfig, VectorFormat } from './layout.js';
import { takePoints } from './points.js';
import { learnRotation } from './rotation.js';
import { sampleRows } from './sample-rows.js';
import type { RowSample } from './sample-rows.js';
import { findCentroids } from './weighted-k-means.js';

/** Rows for each entry that a codebook is learned from. */
const ROWS_EACH = 256;

/** How to put the rows of a matrix into product codes. */
export interface ProductOptions {
  /** Groups of neighbouring columns, each with a codebook of its own; their sizes differ by at most one. */
  readonly parts: number;
  /** Bits of a code, so that a codebook has 2^bits entries; default 8. */
  readonly bits?: Bits | undefined;
  /** Whether the rows are rotated first, by a rotation that is learned (OPQ); default no. */
  readonly rotate?: boolean | undefined;
  /** How much a row's error matters, `[rows]`, at least 0. Default: all alike. */
  readonly rowWeights?: ArrayLike<number> | undefined;
  /** Seed of all draws; default 0. */
  readonly seed?: number | undefined;
  /** Rows that codebooks and rotation are learned from, at most; default 256 · 2^bits. */
  readonly sampleSize?: number | undefined;
}

/**
 * Product quantization (Jégou et al. 2011): the columns are cut into parts, and each part of a row becomes
 * the number of the nearest entry of its codebook, which weighted k-means learns. With `rotate`, optimized
 * product quantization (Ge et al. 2013, the non-parametric one). The same input and seed give the same
 * bits on the same backend.
 *
 * @throws EspalierError `quantizer/parts`, `quantizer/weights`, `quantizer/bits`, `quantizer/empty`,
 * `quantizer/not-finite`, `quantizer/too-large`, `compression/matrix`.
 * @example
 * const { config, weights } = await quantizeProducts({ data, rows: 10000, columns: 200 }, { parts: 50 });
 * const back = dequantize({ config, weights }, [10000, 200]);
 */
export async function quantizeProducts(
  matrix: Matrix,
  options: ProductOptions,
): Promise<QuantizedVectors> {
  const { parts, bits = 8, rotate = false, rowWeights, seed = 0 } = options;
  checkVectors('quantizeProducts', matrix, { bits, rowWeights });
  const config: VectorConfig = { kind: 'product', parts, bits, ...(rotate && { rotated: true }) };
  const { format } = computeVectorLayout(config, getShape(matrix));
  const { sampleSize = ROWS_EACH * 2 ** bits } = options;
  const given = sampleRows(matrix, sampleSize, keyedRng(seed, 'products', 'rows'), rowWeights);
  const rotation = rotate ? await learnRotation(given, format, seed) : undefined;
  const sample = rotation ? { ...given, matrix: await project(given.matrix, rotation) } : given;
  const few = (piece: Piece) => (rotation ? undefined : findDistinct(matrix, piece, 2 ** bits));
  const codebook = await learnCodebook(sample, format, seed, few);
  const { codes, error } = await encodeParts(matrix, { codebook, rotation }, format);
  const weights = {
    codes: pack(codes, bits),
    codebook,
    ...(rotation && { rotation: rotation.data }),
  };
  return { config, weights, error: checkError(error) };
}

/** The tables of all parts, one behind the other; of a part for which `known` has one, that. */
async function learnCodebook(
  sample: RowSample,
  { bits, columns, pieces }: VectorFormat,
  seed: number,
  known: (piece: Piece) => Float32Array | undefined,
): Promise<Float32Array> {
  const codebook = new Float32Array(2 ** bits * columns);
  for (const [part, piece] of pieces.entries()) {
    const draw = keyedRng(seed, 'products', part);
    codebook.set(known(piece) ?? (await learnTable(sample, piece, 2 ** bits, draw)), piece.table);
  }
  return codebook;
}

function learnTable({ matrix, weights }: RowSample, piece: Piece, size: number, draw: KeyedRng) {
  return findCentroids({ ...takePoints(matrix, piece, 0, matrix.rows), weights }, size, draw);
}
