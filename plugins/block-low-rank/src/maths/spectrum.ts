import { floorCounts } from '@espalier/compression';
import type {
  BlockSpectrum,
  ImportanceWeights,
  Matrix,
  VocabPartition,
} from '@espalier/compression';
import { spectrum, squareRoot } from '@espalier/linalg';
import { countNumbers } from './blocks.js';

/** One block's rows and the directions in which they lie, heaviest first. */
export interface AnalysedBlock extends BlockSpectrum {
  /** Row numbers of the matrix. */
  readonly select: Int32Array;
  /** `[columns, rank]`, column k the direction of `energies[k]`: in the metric, if there is one. */
  directions(rank: number): Matrix;
}

/** A symmetric root of the metric and its inverse; none: the plain distance. */
export interface Whitening {
  readonly root: Float64Array;
  readonly inverse: Float64Array;
}

/** The metric's root, once for all blocks. */
export async function computeWhitening(
  { metric }: ImportanceWeights,
  columns: number,
): Promise<Whitening | undefined> {
  return metric && squareRoot(metric, columns);
}

/**
 * Spectrum of every block of a partition: eigenpairs of `Σ w_i a_i a_iᵀ` over its rows, in the
 * metric where there is one.
 */
export async function analyse(
  matrix: Matrix,
  partition: VocabPartition,
  importance: ImportanceWeights,
  options: {
    readonly counts?: Float64Array | undefined;
    readonly whitening?: Whitening | undefined;
  },
): Promise<AnalysedBlock[]> {
  const counts = options.counts && floorCounts(options.counts);
  const blocks: AnalysedBlock[] = [];
  let begin = 0;
  for (const size of partition.sizes) {
    const select = partition.order.slice(begin, (begin += size));
    blocks.push(await analyseBlock(matrix, select, importance, { ...options, counts }));
  }
  return blocks;
}

async function analyseBlock(
  matrix: Matrix,
  select: Int32Array,
  { rows: weights }: ImportanceWeights,
  { counts, whitening }: Parameters<typeof analyse>[3],
): Promise<AnalysedBlock> {
  const { columns } = matrix;
  const { root } = whitening ?? {};
  const { values, vectors } = await spectrum(matrix, { weights, select, ...(root && { root }) });
  return {
    select,
    rows: select.length,
    columns,
    meanCount: computeMean(select, counts),
    energies: values,
    directions: vectors,
    bytes: (rank) => 4 * countNumbers(select.length, columns, rank),
  };
}

function computeMean(select: Int32Array, counts: Float64Array | undefined): number {
  if (!counts) return 1;
  return select.reduce((sum, row) => sum + counts[row]!, 0) / select.length;
}
