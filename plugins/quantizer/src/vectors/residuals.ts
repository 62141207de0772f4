import type { Matrix } from '@espalier/compression';
import { EspalierError, keyedRng } from '@espalier/core';
import { checkError } from '../maths/check.js';
import { getShape } from '../maths/granularity.js';
import { pack } from '../maths/packing.js';
import type { Bits } from '../maths/packing.js';
import { searchBeam } from './beam-search.js';
import type { StageTables } from './beam-search.js';
import { checkVectors } from './check-vectors.js';
import { findDistinct } from './distinct.js';
import { computeVectorLayout } from './layout.js';
import type { QuantizedVectors, VectorConfig } from './layout.js';
import { findNearestOnHost, UNKNOWN } from './nearest-on-host.js';
import { prepareSearch } from './nearest.js';
import { sampleRows } from './sample-rows.js';
import type { RowSample } from './sample-rows.js';
import { subtractEntries, tuneStages } from './tune-stages.js';
import { findCentroids } from './weighted-k-means.js';

/** Rows for each entry that a codebook is learned from. */
const ROWS_EACH = 256;

/** How to put the rows of a matrix into residual codes. */
export interface ResidualOptions {
  /** Codes of a row: each takes an entry of a codebook of its own, and their sum stands for the row. */
  readonly stages: number;
  /** Bits of a code, so that a codebook has 2^bits entries; default 8. */
  readonly bits?: Bits | undefined;
  /** How many sums of entries are followed from stage to stage; default 5. */
  readonly beam?: number | undefined;
  /** How often codes and codebooks are adapted to each other in the end; default 3. */
  readonly rounds?: number | undefined;
  /** How much a row's error matters, `[rows]`, at least 0. Default: all alike. */
  readonly rowWeights?: ArrayLike<number> | undefined;
  /** Seed of all draws; default 0. */
  readonly seed?: number | undefined;
  /** Rows that codebooks are learned from, at most; default 256 · 2^bits. */
  readonly sampleSize?: number | undefined;
}

/**
 * Residual quantization (Chen et al. 2010): the first code of a row names the nearest entry of a codebook of
 * whole rows, the second one an entry for what is left, and so on. Codebooks are learned stage by
 * stage by weighted k-means, and then all together: rows are coded anew by a beam search, and each
 * table moves to the means of what the others leave.
 *
 * @throws EspalierError `quantizer/stages`, `quantizer/weights`, `quantizer/bits`, `quantizer/empty`,
 * `quantizer/not-finite`, `quantizer/too-large`, `compression/matrix`.
 * @example
 * const { config, weights } = await quantizeResiduals({ data, rows: 10000, columns: 200 }, { stages: 8 });
 * const back = dequantize({ config, weights }, [10000, 200]);
 */
export async function quantizeResiduals(
  matrix: Matrix,
  options: ResidualOptions,
): Promise<QuantizedVectors> {
  const { stages, bits = 8, beam = 5, rounds = 3, rowWeights, seed = 0 } = options;
  checkVectors('quantizeResiduals', matrix, { bits, rowWeights });
  checkCounts({ stages, beam });
  const size = 2 ** bits;
  const { sampleSize = ROWS_EACH * size } = options;
  const sample = sampleRows(matrix, sampleSize, keyedRng(seed, 'residuals', 'rows'), rowWeights);
  const config: VectorConfig = { kind: 'residual', stages, bits };
  computeVectorLayout(config, getShape(matrix));
  const { columns } = matrix;
  const few = findDistinct(matrix, { from: 0, width: columns }, size);
  const tables = { codebook: new Float32Array(stages * size * columns), stages, size, columns };
  if (few) tables.codebook.set(few);
  else await learnStages(sample, tables, seed);
  for (let round = 0; round < rounds && !few; round++) {
    tuneStages(sample, await searchBeam(sample.matrix, tables, beam), tables);
  }
  const codes = few ? findFirst(matrix, tables) : await searchBeam(matrix, tables, beam);
  const weights = { codes: pack(codes, bits), codebook: tables.codebook };
  return { config, weights, error: checkError(measureError(matrix, codes, tables)) };
}

/** Fills the tables, each by what those before leave of the rows. */
async function learnStages(
  { matrix, weights }: RowSample,
  { codebook, stages, size, columns }: StageTables,
  seed: number,
): Promise<void> {
  const data = matrix.data.slice();
  const points = { data, count: matrix.rows, width: columns, weights };
  const nearest = new Int32Array(matrix.rows);
  for (let stage = 0; stage < stages; stage++) {
    const table = await findCentroids(points, size, keyedRng(seed, 'residuals', stage));
    codebook.set(table, stage * table.length);
    const search = prepareSearch(points, size);
    await search.find(table, nearest.fill(UNKNOWN));
    search.dispose();
    subtractEntries(data, table, columns, nearest);
  }
}

/** Codes of rows that the first table holds; the entries of the others are 0. */
function findFirst({ data, rows, columns }: Matrix, { codebook, stages, size }: StageTables) {
  const nearest = new Int32Array(rows).fill(UNKNOWN);
  const points = { data, count: rows, width: columns };
  findNearestOnHost(points, codebook.subarray(0, size * columns), nearest);
  const codes = new Uint8Array(rows * stages);
  nearest.forEach((id, row) => (codes[row * stages] = id));
  return codes;
}

function measureError(matrix: Matrix, codes: Uint8Array, tables: StageTables): number {
  const { codebook, stages, size, columns } = tables;
  let [error, norm] = [0, 0];
  const rest = new Float64Array(columns);
  for (let row = 0; row < matrix.rows; row++) {
    for (let j = 0; j < columns; j++) {
      rest[j] = matrix.data[row * columns + j]!;
      norm += rest[j]! ** 2;
    }
    for (let s = 0; s < stages; s++) {
      let at = (s * size + codes[row * stages + s]!) * columns;
      for (let j = 0; j < columns; j++) rest[j]! -= codebook[at++]!;
    }
    for (let j = 0; j < columns; j++) error += rest[j]! ** 2;
  }
  return norm === 0 ? 0 : Math.sqrt(error / norm);
}

function checkCounts(given: Readonly<Record<'stages' | 'beam', number>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new EspalierError('quantizer/stages', {
      problem: `${name} must be a whole number of at least 1`,
      received: value,
      fix: 'Residual codes have 1 to 16 stages in most cases, and a beam of 1 to 32.',
    });
  }
}
