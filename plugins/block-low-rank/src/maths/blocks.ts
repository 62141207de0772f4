/** A block of a matrix's rows: its rank, or `null` where it is kept dense. */
export interface Block {
  readonly rows: number;
  readonly rank: number | null;
}

/** A block with where it begins: among the rows, and among the rows of the common basis. */
export interface PlacedBlock extends Block {
  /** The matrix that holds its rows: `u0` `[rows, rank]`, or `w0` `[rows, columns]` if dense. */
  readonly matrix: string;
  readonly begin: number;
  readonly basisBegin: number;
}

/** Where every block begins. */
export function placeBlocks(blocks: readonly Block[]): readonly PlacedBlock[] {
  let begin = 0;
  let basisBegin = 0;
  return blocks.map(({ rows, rank }, i) => {
    const block = { rows, rank, begin, basisBegin, matrix: rank === null ? `w${i}` : `u${i}` };
    begin += rows;
    basisBegin += rank ?? 0;
    return block;
  });
}

/** Rows of the common basis: the ranks of all blocks together. */
export function countBasisRows(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { rank }) => sum + (rank ?? 0), 0);
}

/** Numbers that a block of this shape takes at a rank, its share of the basis included. */
export function countNumbers(rows: number, columns: number, rank: number | null): number {
  return rank === null ? rows * columns : rank * (rows + columns);
}
