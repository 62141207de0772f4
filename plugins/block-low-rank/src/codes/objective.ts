import { floorCounts } from '@espalier/compression';
import type { Measure, Objective } from '@espalier/compression';
import { EspalierError } from '@espalier/core';

/** What is known about rows beside their numbers. */
export interface RowKnowledge {
  /** How often each is used, `[rows]`. */
  readonly counts?: Float64Array | undefined;
  /** Weights from elsewhere, `[rows]`. */
  readonly importance?: Float64Array | undefined;
}

/** What rows weigh. */
export interface RowWeights {
  /** Of the squared error of each row, `[rows]`. */
  readonly weights: Float64Array;
  /** The part of them in which only directions count: an error is the squared sine, times the squared length. */
  readonly angular?: Float64Array;
}

/** Shares of a mixture of counts and the tail, which serves both. */
const MIXTURE = { counts: 0.7, uniform: 0.3 } as const;
/** The same where the order of rows stands for counts: if it tells nothing, little is lost by it. */
const BY_ORDER = { counts: 0.3, uniform: 0.7 } as const;
/**
 * A little weight of counts costs all words a fraction of a point of the neighbours that stay, and doubles those of
 * frequent words; a little weight of all rows makes lengths count.
 */
const NEIGHBOURS = { neighbours: 0.85, counts: 0.1, uniform: 0.05 } as const;

/** Weights that rows have by their rank where nothing is known but their order (Zipf and Mandelbrot). */
const SHIFT = 2.7;

/** The shares of an objective; where none is asked for: importance if there is any, else the mixture. */
export function readShares(
  objective: Objective | undefined,
  { counts, importance }: RowKnowledge,
): Readonly<Partial<Record<Measure, number>>> {
  if (objective === undefined && importance) return { importance: 1 };
  if (objective === undefined) return counts ? MIXTURE : BY_ORDER;
  if (objective === 'neighbours') return NEIGHBOURS;
  return typeof objective === 'string' ? { [objective]: 1 } : objective;
}

/**
 * What the squared error of each row weighs, so that each measure is 1 where nothing is stored.
 *
 * @param squares Squared lengths of rows, `[rows]`.
 * @throws EspalierError `block-codes/objective` where a measure lacks what it needs.
 */
export function weighRows(
  squares: Float64Array,
  shares: Readonly<Partial<Record<Measure, number>>>,
  knowledge: RowKnowledge,
): RowWeights {
  const weights = new Float64Array(squares.length);
  let angular: Float64Array | undefined;
  for (const [measure, share] of Object.entries(shares)) {
    if (!share) continue;
    const own = measureRows(measure as Measure, squares, knowledge);
    const whole = own.reduce((sum, weight, row) => sum + weight * squares[row]!, 0);
    const scaled = own.map((weight) => (whole > 0 ? (share * weight) / whole : 0));
    scaled.forEach((weight, row) => (weights[row]! += weight));
    if (measure === 'neighbours') angular = scaled;
  }
  return { weights, ...(angular && { angular }) };
}

function measureRows(
  measure: Measure,
  squares: Float64Array,
  { counts, importance }: RowKnowledge,
): Float64Array {
  switch (measure) {
    case 'counts':
      return counts ? floorCounts(counts) : squares.map((_, rank) => 1 / (rank + SHIFT));
    case 'neighbours':
      return squares.map((square) => (square > 0 ? 1 / square : 0));
    case 'uniform':
      return new Float64Array(squares.length).fill(1);
    case 'importance':
      if (importance) return importance;
      throw new EspalierError('block-codes/objective', {
        problem: "the objective 'importance' needs weights of rows, and nobody provides them",
        received: 'importance',
        fix: "Add wordImportance(), give weights, or take another objective: 'counts', 'uniform', 'neighbours'.",
      });
  }
}
