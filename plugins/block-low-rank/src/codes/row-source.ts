import type { Matrix, RowSource } from '@espalier/compression';

export type { RowSource };

/** The rows of a matrix in memory. */
export function sourceOf({ data, rows, columns }: Matrix): RowSource {
  return {
    rows,
    columns,
    readRows: (begin, end) => data.subarray(begin * columns, end * columns),
  };
}

/** Rows that lie together, and the number of the first. */
export interface RowChunk extends Matrix {
  readonly begin: number;
}

/** Numbers of a chunk: 4 MB. */
const CHUNK = 2 ** 20;
/** Rows of a chunk of long rows, for each column: fewer would make sums over groups of them slow. */
const ROWS_BY_COLUMN = 8;

/** Rows of a chunk. */
export function countChunkRows(columns: number): number {
  return Math.max(1, Math.floor(CHUNK / columns), columns > 256 ? ROWS_BY_COLUMN * columns : 0);
}

/** The rows of a source from `first` on, some megabytes at a time. */
export async function* readChunks(source: RowSource, first = 0): AsyncGenerator<RowChunk> {
  const { rows, columns } = source;
  const size = countChunkRows(columns);
  for (let begin = first; begin < rows; begin += size) {
    const end = Math.min(begin + size, rows);
    yield { data: await source.readRows(begin, end), rows: end - begin, columns, begin };
  }
}
