import type { Matrix } from '@espalier/compression';
import { project } from '@espalier/linalg';
import type { Block } from './blocks.js';
import { selectRows, transpose } from './rows.js';
import type { AnalysedBlock, Whitening } from './spectrum.js';

/** A factorised matrix: blocks with their ranks and the numbers of every weight, by its name. */
export interface Factorization {
  readonly blocks: readonly Block[];
  readonly weights: Readonly<Record<string, Matrix>>;
}

/**
 * Factors of every block at its rank: `U = A V`, `V` the block's leading directions; with a metric
 * `M = S²`: `U = A S W`, `B = Wᵀ S⁻¹`, which is optimal in that metric.
 *
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950, section 3.2.
 */
export async function factorize(
  matrix: Matrix,
  analysed: readonly AnalysedBlock[],
  ranks: readonly (number | null)[],
  whitening?: Whitening,
): Promise<Factorization> {
  const weights: Record<string, Matrix> = {};
  const bases: Float32Array[] = [];
  for (const [p, { select, columns, directions }] of analysed.entries()) {
    const rank = ranks[p]!;
    if (rank === null) {
      weights[`w${p}`] = {
        data: selectRows(matrix.data, select, matrix.columns),
        rows: select.length,
        columns: matrix.columns,
      };
      continue;
    }
    const leading = directions(rank).data;
    const into = whitening ? product(whitening.root, leading, columns, rank) : leading;
    const back = whitening ? product(whitening.inverse, leading, columns, rank) : leading;
    weights[`u${p}`] = await project(
      matrix,
      { data: into, rows: columns, columns: rank },
      { select },
    );
    bases.push(transpose(back, columns, rank));
  }
  const { columns } = matrix;
  if (bases.length > 0) weights['basis'] = stackRows(bases, columns);
  return { blocks: analysed.map(({ rows }, p) => ({ rows, rank: ranks[p]! })), weights };
}

function product(square: Float64Array, b: Float32Array, n: number, count: number): Float32Array {
  const out = new Float32Array(n * count);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < count; k++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += square[i * n + j]! * b[j * count + k]!;
      out[i * count + k] = sum;
    }
  }
  return out;
}

function stackRows(parts: readonly Float32Array[], columns: number): Matrix {
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const data = new Float32Array(size);
  let offset = 0;
  for (const part of parts) {
    data.set(part, offset);
    offset += part.length;
  }
  return { data, rows: size / columns, columns };
}
