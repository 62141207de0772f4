import { floorCounts, relativeError } from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { parseOptions } from '@espalier/core';
import {
  expandFactors,
  factorMatrix,
  proportionalRanks,
  targetOptions,
} from '@espalier/plugin-block-low-rank';
import type { LowRankMatrix, TargetOptions } from '@espalier/plugin-block-low-rank';
import { dequantize, quantize } from '@espalier/plugin-quantizer';
import type { Quantized, QuantizeOptions } from '@espalier/plugin-quantizer';
import { partitioner } from '@espalier/plugin-vocab-partition';
import type { PartitionerOptions } from '@espalier/plugin-vocab-partition';

/** Options of {@link compressMatrix}. Of `ratio`, `budget`, `maxError` and `rank` give one, or none: a ratio of 4. */
export type CompressMatrixOptions = TargetOptions & {
  /**
   * How often each row is used, `[rows]`: cuts the rows into blocks of like frequency, and weighs their
   * errors. Without it: one block, all rows alike.
   */
  readonly counts?: ArrayLike<number>;
  /** How many blocks, or `auto`; default 5. */
  readonly blocks?: PartitionerOptions['blocks'];
  /** Whether rows move to blocks that reconstruct them better; default true. */
  readonly refine?: boolean;
  /** Bits of the codes of all factors: 8, 4, 3 or 2. Without it they stay float32. */
  readonly bits?: QuantizeOptions['bits'];
};

/** A matrix as factors, perhaps in codes. */
export interface CompressedMatrix extends Pick<
  LowRankMatrix,
  'rows' | 'columns' | 'blocks' | 'index' | 'summary'
> {
  /** By name, as in `LowRankMatrix`: float32 numbers, or codes where those take fewer bytes. */
  readonly factors: Readonly<Record<string, Matrix | CodedMatrix>>;
  /** Bytes of all factors and of the index. */
  readonly bytes: number;
  /** Bytes of the matrix in float32 over `bytes`. */
  readonly ratio: number;
  /** ‖A − Ã‖ / ‖A‖ (Frobenius) of what `expandMatrix` gives back; 0 for a matrix of zeros. */
  readonly error: number;
  /** The same with each row weighted by its count; only with counts. */
  readonly weightedError?: number;
}

/** A factor in codes. */
export interface CodedMatrix extends Quantized {
  readonly rows: number;
  readonly columns: number;
}

/**
 * GroupReduce on one matrix, without a model or a session: blocks by frequency, a low rank for each, then
 * codes. The parts are those of the preset {@link groupReduce}, with its defaults. As there, the target is that of
 * the factors before codes: `ratio: 4` with 8 bits makes a matrix about 16 times smaller, and the result says
 * how many times.
 *
 * @param matrix One row for each word or unit; it stays as it is.
 * @throws EspalierError `options/invalid`, `compression/matrix`, `quantizer/bits`, `block-low-rank/…`, `vocab-partition/…`, `linalg/…`.
 * @see Chen, Si, Li, Chelba & Hsieh 2018, arXiv 1806.06950.
 * @example
 * const table = { data: Float32Array.from(await embeddings.data()), rows: 10000, columns: 200 };
 * const small = await compressMatrix(table, { counts, ratio: 4, bits: 8 });
 * console.log(small.bytes, small.ratio, small.error);
 * const close = expandMatrix(small);
 */
export async function compressMatrix(
  matrix: Matrix,
  { counts, blocks, refine = true, bits, ...target }: CompressMatrixOptions = {},
): Promise<CompressedMatrix> {
  parseOptions('compressMatrix', targetOptions, target);
  const method = { method: 'equal-size', blocks, ...(refine && { refine: {} }) } as const;
  const weights = counts && floorCounts(Float64Array.from(counts));
  const { weights: factors, ...lowRank } = await factorMatrix(matrix, {
    ...target,
    weights,
    counts,
    ...(counts && { partitioner: partitioner(method) }),
    allocator: proportionalRanks,
  });
  const coded = bits === undefined ? factors : encodeAll(factors, bits);
  const { rows, columns, index, summary } = lowRank;
  const made = { rows, columns, blocks: lowRank.blocks, ...(index && { index }), factors: coded };
  const close = expandMatrix(made);
  const bytes = sum(Object.values(coded).map(countBytes)) + (index?.byteLength ?? 0);
  return {
    ...made,
    summary: bits === undefined ? summary : `${summary}, ${bits} bits`,
    bytes,
    ratio: (4 * rows * columns) / bytes,
    error: relativeError(matrix, close),
    ...(weights && { weightedError: relativeError(matrix, close, { weights }) }),
  };
}

/**
 * The matrix that compressed factors stand for.
 *
 * @param compressed From {@link compressMatrix}.
 * @returns `[rows, columns]`, in the order of the rows that were given.
 * @example
 * const { data, rows, columns } = expandMatrix(small);
 * const close = tf.tensor2d(data, [rows, columns]);
 */
export function expandMatrix({
  factors,
  ...placed
}: Pick<CompressedMatrix, 'rows' | 'columns' | 'blocks' | 'index' | 'factors'>): Matrix {
  const decoded = Object.entries(factors).map(
    ([name, factor]) => [name, isCoded(factor) ? decode(factor) : factor] as const,
  );
  return expandFactors({ ...placed, weights: Object.fromEntries(decoded) });
}

/** All factors in codes, as the quantizer takes them: those stay as they are that would not get smaller. */
function encodeAll(factors: LowRankMatrix['weights'], bits: NonNullable<QuantizeOptions['bits']>) {
  const encode = (factor: Matrix): Matrix | CodedMatrix => {
    const { rows, columns } = factor;
    const coded = { ...quantize(factor, { bits, prefer: 'row' }), rows, columns };
    return countBytes(coded) < factor.data.byteLength ? coded : factor;
  };
  const all = Object.entries(factors).map(([name, factor]) => [name, encode(factor)] as const);
  return Object.fromEntries(all);
}

function isCoded(factor: Matrix | CodedMatrix): factor is CodedMatrix {
  return 'config' in factor;
}

function decode(factor: CodedMatrix): Matrix {
  return dequantize(factor, [factor.rows, factor.columns]);
}

function countBytes(factor: Matrix | CodedMatrix): number {
  if (!isCoded(factor)) return factor.data.byteLength;
  return sum(Object.values(factor.weights).map(({ byteLength }) => byteLength));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
