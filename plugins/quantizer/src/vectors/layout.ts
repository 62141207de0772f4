import type { MatrixShape, StorageConfig } from '@espalier/compression';
import { EspalierError, parseOptions } from '@espalier/core';
import { z } from 'zod';
import { BITS, packedLength } from '../maths/packing.js';
import type { Bits } from '../maths/packing.js';

const common = {
  bits: z.literal([...BITS]),
  /** Whether the codes are those of the transposed matrix: each column of the matrix is coded whole. */
  transposed: z.literal(true).optional(),
};

/** Columns in `parts` groups, each with a codebook of its own (product quantization). */
export const productConfig = z.strictObject({
  kind: z.literal('product'),
  parts: z.int().positive(),
  ...common,
  /** Whether the rows were rotated before. */
  rotated: z.literal(true).optional(),
});

/** Whole rows as sums of entries, one of each of `stages` codebooks (residual quantization). */
export const residualConfig = z.strictObject({
  kind: z.literal('residual'),
  stages: z.int().positive(),
  ...common,
});

const vectorConfig = z.discriminatedUnion('kind', [productConfig, residualConfig]);

/** How a matrix is kept in codes of vectors: plain JSON, a `StorageConfig`. */
export type VectorConfig = z.output<typeof vectorConfig>;

/** The kinds of {@link VectorConfig}. */
export const VECTOR_KINDS = ['product', 'residual'] as const;

/** Whether a storage of this kind holds codes of vectors. */
export function isVectorKind(kind: string): boolean {
  return (VECTOR_KINDS as readonly string[]).includes(kind);
}

/** What one code of a row stands for: numbers that are added to columns `[from, from + width)`. */
export interface Piece {
  readonly from: number;
  readonly width: number;
  /** Where its table begins in the codebook; that is `[2^bits, width]`. */
  readonly table: number;
}

/** How codes of vectors lie and what they stand for. */
export interface VectorFormat {
  readonly bits: Bits;
  /** Rows and columns of what is coded: of a transposed matrix those of its transpose. */
  readonly rows: number;
  readonly columns: number;
  /** One for each code of a row. */
  readonly pieces: readonly Piece[];
}

/** A weight that holds a part of the matrix; its name is the matrix's and this suffix. */
export type VectorPart = 'codes' | 'codebook' | 'rotation';

/** A matrix in codes of vectors, on the host. */
export interface QuantizedVectors {
  readonly config: VectorConfig;
  /** By suffix of the weight's name: packed `codes`, `codebook`, perhaps `rotation`. */
  readonly weights: Readonly<Partial<Record<VectorPart, Int32Array | Float32Array>>>;
  /** ‖A − Ã‖ / ‖A‖ (Frobenius); 0 for a matrix of zeros. */
  readonly error: number;
}

/** Codes of vectors for one shape of matrix. */
export interface VectorLayout {
  readonly config: VectorConfig;
  readonly format: VectorFormat;
  /** Lengths of the parts. */
  readonly parts: Readonly<Partial<Record<VectorPart, number>>>;
}

/**
 * What follows from a configuration and a shape.
 *
 * @throws EspalierError `options/invalid` for what is no such configuration, `quantizer/parts`.
 */
export function computeVectorLayout(given: StorageConfig, shape: MatrixShape): VectorLayout {
  const config = parseOptions('storage', vectorConfig, given);
  const { bits } = config;
  const [rows, columns] = config.transposed ? [shape[1], shape[0]] : shape;
  const pieces =
    config.kind === 'product'
      ? splitColumns(columns, config.parts, bits)
      : stackStages(columns, config.stages, bits);
  const codebook = pieces.reduce((sum, { width }) => sum + 2 ** bits * width, 0);
  const rotation = config.kind === 'product' && config.rotated && { rotation: columns ** 2 };
  const parts = { codes: packedLength(bits, rows * pieces.length), codebook, ...rotation };
  return { config, format: { bits, rows, columns, pieces }, parts };
}

/** Groups of neighbouring columns whose sizes differ by at most one. */
function splitColumns(columns: number, parts: number, bits: Bits): Piece[] {
  if (parts > columns) {
    throw new EspalierError('quantizer/parts', {
      problem: `a row of ${columns} numbers cannot be cut into ${parts} parts`,
      received: parts,
      fix: `Give parts from 1 to ${columns}.`,
    });
  }
  const begin = (part: number) => Math.floor((part * columns) / parts);
  return Array.from({ length: parts }, (_, part) => {
    const from = begin(part);
    return { from, width: begin(part + 1) - from, table: 2 ** bits * from };
  });
}

function stackStages(columns: number, stages: number, bits: Bits): Piece[] {
  return Array.from({ length: stages }, (_, stage) => ({
    from: 0,
    width: columns,
    table: stage * 2 ** bits * columns,
  }));
}
