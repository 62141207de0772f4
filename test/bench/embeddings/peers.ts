import { byCount, ofFixedSize, withBothTables } from './methods.js';
import type { CountedMethod, Method, Shape } from './methods.js';

const smaller = ({ rows, columns }: Shape): number => Math.min(rows, columns);
/** Codes of one byte, and a float16 scale for each row of a factor. */
const codedFactors = ({ rows, columns }: Shape, rank: number): number =>
  rows * (rank + 2) + rank * (columns + 2);
const packed = (count: number, bits: number): number => Math.ceil((count * bits) / 8);

const svd = byCount('NumPy SVD, 8 bits', 'NumPy', 'rank', { limit: smaller, bytes: codedFactors });
const weightedSvd: Method = {
  ...byCount('NumPy weighted SVD, 8 bits', 'NumPy', 'rank', {
    limit: smaller,
    bytes: codedFactors,
    rest: { weighted: 1 },
  }),
  counts: true,
};
/** One scale for a factor, and the mean of the rows in float32. */
const pca: Method = {
  ...byCount('scikit-learn PCA, 8 bits', 'scikit-learn', 'rank', {
    limit: smaller,
    bytes: ({ rows, columns }, rank) => rank * (rows + columns) + 4 * columns + 8,
  }),
  module: 'sklearn',
};

const plainRows = (bits: number): Method =>
  ofFixedSize(`NumPy rows, ${bits} bits`, 'NumPy', { bits }, ({ rows, columns }) => {
    return rows * packed(columns, bits) + 2 * rows;
  });

const named = (name: string, bits: number): string =>
  bits === 8 ? `faiss ${name}` : `faiss ${name}, ${bits}-bit`;

/** Tables of product codes, in float16. */
const product = (bits: 8 | 4): CountedMethod => ({
  ...byCount(named('PQ', bits), 'faiss', 'parts', {
    limit: ({ columns }) => columns,
    bytes: ({ rows, columns }, parts) => rows * packed(parts, bits) + 2 * 2 ** bits * columns,
    rest: { bits },
  }),
  module: 'faiss',
});

/** Columns behind faiss's rotation, which are a multiple of the parts. */
export const paddedColumns = (columns: number, parts: number): number =>
  parts * Math.ceil(columns / parts);

const rotated = (bits: 8 | 4): CountedMethod => ({
  ...byCount(named('OPQ', bits), 'faiss', 'parts', {
    limit: ({ columns }) => columns,
    bytes({ rows, columns }, parts) {
      const padded = paddedColumns(columns, parts);
      return rows * packed(parts, bits) + 2 * (2 ** bits * padded + padded * columns);
    },
    rest: { bits },
  }),
  module: 'faiss',
});

const residual = (bits: 8 | 4): CountedMethod => ({
  ...byCount(named('RQ', bits), 'faiss', 'stages', {
    limit: ({ columns }) => columns,
    bytes: ({ rows, columns }, stages) =>
      rows * packed(stages, bits) + 2 * 2 ** bits * stages * columns,
    rest: { bits },
  }),
  module: 'faiss',
});

const tables = ({ columns }: Shape): number => 2 * 256 * columns;

/** What others offer, each by its own implementation; see peers.py. */
export const PEERS: readonly Method[] = [
  svd,
  weightedSvd,
  pca,
  plainRows(8),
  plainRows(4),
  ...withBothTables(product, tables),
  ...withBothTables(rotated, tables),
  ...withBothTables(residual, tables),
];
