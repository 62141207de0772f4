import type { Matrix } from '@espalier/compression';

/** A matrix that is read some rows at a time. */
export interface RowSource {
  readonly rows: number;
  readonly columns: number;
  /** Rows `begin` to `end`, exclusive, row after row. */
  readRows(begin: number, end: number): Float32Array | Promise<Float32Array>;
}

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

/** All rows of a source, a few megabytes at a time. */
export async function* readChunks(source: RowSource): AsyncGenerator<RowChunk> {
  const { rows, columns } = source;
  const size = Math.max(1, Math.floor(CHUNK / columns));
  for (let begin = 0; begin < rows; begin += size) {
    const end = Math.min(begin + size, rows);
    yield { data: await source.readRows(begin, end), rows: end - begin, columns, begin };
  }
}
