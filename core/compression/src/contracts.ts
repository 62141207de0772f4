import { createToken } from '@espalier/core';
import type { Matrix } from '@espalier/linalg';
import type { AllocateBitsOptions, BitAllocation, RowGroup } from './allocation/allocate-bits.js';

export type { Matrix };

/** How often each word occurs; word ids are row numbers of embedding and softmax matrices. */
export interface WordCounts {
  /** Where the counts come from, for reports: `given`, `training data`. */
  readonly source: string;
  /**
   * `[words]`, as they were counted (zeros included).
   *
   * @throws EspalierError where there are none yet, or where they do not fit `words`.
   */
  counts(words: number): Float64Array;
  /** Whether they can be the counts of a matrix with `words` rows. */
  fits(words: number): boolean;
}

/** Who provides it: a plugin that counts words, or is given counts. */
export const WORD_COUNTS = createToken<WordCounts>('word-counts');

/** Words in blocks: a permutation cut into pieces. */
export interface VocabPartition {
  /** Word ids, block after block. */
  readonly order: Int32Array;
  /** Words in each block; they sum to the number of words. */
  readonly sizes: readonly number[];
}

/** What a refinement starts from. */
export interface RefineRequest {
  /** Where to start. */
  readonly partition: VocabPartition;
  /** One row per word; where errors are measured in a metric `M = S²`, of the matrix times `S`. */
  readonly matrix: Matrix;
  /** Weight of each row's error, `[words]`. */
  readonly weights: Float64Array;
  /** Rank of each block; `null` keeps the block dense, so that its words have no error. */
  readonly ranks: readonly (number | null)[];
}

/** Cuts a vocabulary into blocks. */
export interface VocabPartitioner {
  /** Its name, for reports. */
  readonly name: string;
  /** Partitions to choose from, by word counts: one, or several where the budget shall decide. */
  candidates(counts: Float64Array): readonly VocabPartition[];
  /** Moves words to blocks whose subspace reconstructs them better; sizes may change. */
  refine?(request: RefineRequest): Promise<VocabPartition>;
}

/** Who provides it: a vocabulary partitioner. Without one a matrix is a single block. */
export const VOCAB_PARTITIONER = createToken<VocabPartitioner>('vocab-partitioner');

/** What importance is asked for. */
export interface ImportanceRequest {
  /** Name of the layer. */
  readonly layer: string;
  /** Which matrix it is: rows that are looked up, or rows that make logits. */
  readonly side: 'embedding' | 'softmax';
  /** `[rows, columns]`. */
  readonly matrix: Matrix;
  /** Word counts, where the run has any for this many rows. */
  readonly counts?: Float64Array;
}

/** How much each row's and each direction's error matters. */
export interface ImportanceWeights {
  /** `[rows]`, at least one positive, none negative. */
  readonly rows: Float64Array;
  /**
   * Symmetric positive semi-definite `[columns, columns]`, row by row: the error of row i is
   * `w_i · eᵀ M e` instead of `w_i · ‖e‖²` (the covariance of what the rows are multiplied with).
   */
  readonly metric?: Float64Array;
}

/** Importance of errors in a matrix. */
export interface Importance {
  /** Its name, for reports. */
  readonly name: string;
  /** Weights for the matrix of the request. */
  weights(request: ImportanceRequest): ImportanceWeights | Promise<ImportanceWeights>;
}

/** Who provides it: counts, log counts, Fisher information, hidden covariance. Without: all alike. */
export const IMPORTANCE = createToken<Importance>('importance');

/** One block, as the allocation of ranks sees it. */
export interface BlockSpectrum {
  /** Words in the block. */
  readonly rows: number;
  /** Columns of the matrix. */
  readonly columns: number;
  /** Mean word count of its rows, of `floorCounts`. */
  readonly meanCount: number;
  /**
   * What each further rank takes off the block's weighted error: eigenvalues, falling,
   * `[min(rows, columns)]`.
   */
  readonly energies: Float64Array;
  /** Bytes at a rank; `null`: dense. Never falls as the rank grows. */
  bytes(rank: number | null): number;
}

/** Chooses the rank of each block under a budget. */
export interface RankAllocator {
  /** Its name, for reports. */
  readonly name: string;
  /**
   * Ranks from 1 to min(rows, columns), or `null` for a dense block; their bytes stay within
   * `budget`. Called only where rank 1 everywhere fits.
   */
  allocate(blocks: readonly BlockSpectrum[], budget: number): readonly (number | null)[];
}

/** Who provides it: a rank allocation rule. */
export const RANK_ALLOCATOR = createToken<RankAllocator>('rank-allocator');

/** Shares bytes out among blocks of rows and the directions that they are coded along. */
export interface BitAllocator {
  /** Its name, for reports. */
  readonly name: string;
  /** As `allocateBits`: bytes stay within `budget`. */
  allocate(
    groups: readonly RowGroup[],
    budget: number,
    options: AllocateBitsOptions,
  ): BitAllocation;
}

/** Who provides it: a rule that shares bits out. Without one: `allocateBits`. */
export const BIT_ALLOCATOR = createToken<BitAllocator>('bit-allocator');

/**
 * A measure of errors; each is a mean of squared relative errors, 1 where nothing is stored: of words by their counts, of
 * all rows alike, of the directions of rows (the squared sine of the angle, which decides what is near), or by
 * weights from elsewhere.
 */
export type Measure = 'counts' | 'importance' | 'neighbours' | 'uniform';

/** What is to be small: one measure, or shares of several. */
export type Objective = Measure | Readonly<Partial<Record<Measure, number>>>;
