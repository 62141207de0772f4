import type { Matrix } from '@espalier/compression';
import { codeMatrix, expandCodes } from '@espalier/plugin-block-low-rank';
import type { CodeMatrixOptions } from '@espalier/plugin-block-low-rank';
import {
  quantize,
  quantizeProducts,
  quantizeResiduals,
  dequantize,
} from '@espalier/plugin-quantizer';
import type { CodedMatrix } from '@espalier/plugin-quantizer';
import { compressMatrix, expandMatrix } from '@espalier/preset-group-reduce';
import {
  budgetOf,
  byCount,
  HEADER_BYTES,
  ofFixedSize,
  withBothTables,
} from './embeddings/methods.js';
import type { Method, Request, Setting, Shape } from './embeddings/methods.js';

/** What a method of ours is given. */
export interface OurInput {
  readonly matrix: Matrix;
  readonly counts: Float64Array | undefined;
  readonly setting: Setting;
}

/** A compressed matrix. */
export interface OurResult {
  /** Everything counted but the header. */
  readonly bytes: number;
  decode(): Matrix;
}

/** A method of this repository: what the parent process knows, and what the child does. */
export interface OurMethod extends Method {
  compress(input: OurInput): Promise<OurResult>;
}

const BY = 'Espalier';
/** The rows by which the aims of aims.ts are judged. */
export const AIMED = { neighbours: 'our codes, neighbours', counts: 'our codes, counts' } as const;

function inCodes({ rows, columns }: Matrix, coded: CodedMatrix): OurResult {
  const bytes = Object.values(coded.weights).reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { bytes, decode: () => dequantize(coded, [rows, columns]) };
}

/** Codes lie in words of 32 bits. */
const packed = (count: number, bits: number): number => 4 * Math.ceil((count * bits) / 32);

const rows = (bits: 8 | 4): OurMethod => ({
  ...ofFixedSize(
    `our rows, ${bits} bits`,
    BY,
    { bits },
    (shape) => packed(shape.rows * shape.columns, bits) + 4 * shape.rows,
  ),
  compress: async ({ matrix }) => inCodes(matrix, quantize(matrix, { bits, granularity: 'row' })),
});

const named = (name: string, bits: number): string =>
  bits === 8 ? `our ${name}` : `our ${name}, ${bits}-bit`;

const products = (name: string, rotate: boolean) => (bits: 8 | 4) => {
  const method = byCount(named(name, bits), BY, 'parts', {
    limit: ({ columns }) => columns,
    bytes: ({ rows, columns }, parts) =>
      packed(rows * parts, bits) + 4 * (2 ** bits * columns + (rotate ? columns ** 2 : 0)),
    rest: { bits },
  });
  const compress: OurMethod['compress'] = async ({ matrix, setting }) =>
    inCodes(matrix, await quantizeProducts(matrix, { parts: setting['parts']!, bits, rotate }));
  return { ...method, compress };
};

const residuals = (bits: 8 | 4) => {
  const method = byCount(named('RQ', bits), BY, 'stages', {
    limit: ({ columns }) => columns,
    bytes: ({ rows, columns }, stages) =>
      packed(rows * stages, bits) + 4 * 2 ** bits * stages * columns,
    rest: { bits },
  });
  const compress: OurMethod['compress'] = async ({ matrix, setting }) =>
    inCodes(matrix, await quantizeResiduals(matrix, { stages: setting['stages']!, bits }));
  return { ...method, compress };
};

/** Low rank in blocks by counts, then 8 bits. Its target is about factors before codes: the one that fits is searched. */
const groupReduce: OurMethod = {
  name: 'our GroupReduce, 8 bits',
  by: BY,
  counts: true,
  choose: (request: Request) => ({ budget: budgetOf(request) }),
  async compress({ matrix, counts, setting }) {
    const make = (ratio: number, refine: boolean) =>
      compressMatrix(matrix, { counts, bits: 8, ratio, refine });
    const budget = setting['budget']! - HEADER_BYTES;
    const whole = 4 * matrix.rows * matrix.columns;
    let [low, high] = [1.01, whole / budget];
    while (high < whole && (await make(high, false)).bytes > budget) [low, high] = [high, 2 * high];
    while (high / low > 1.02) {
      const middle = Math.sqrt(low * high);
      const { bytes } = await make(middle, false);
      [low, high] = bytes > budget ? [middle, high] : [low, middle];
    }
    const coded = await make(high, true);
    return { bytes: coded.bytes, decode: () => expandMatrix(coded) };
  },
};

/** Codes of blocks, all chosen by one allocator for an objective. */
const codes = (
  name: string,
  objective: CodeMatrixOptions['objective'],
  needs: Pick<Method, 'counts'>,
): OurMethod => ({
  name,
  by: BY,
  ...needs,
  choose: (request) => ({ budget: budgetOf(request) }),
  async compress({ matrix, counts, setting }) {
    const budget = setting['budget']! - HEADER_BYTES;
    const coded = await codeMatrix(matrix, { budget, objective, ...(needs.counts && { counts }) });
    return { bytes: coded.bytes, decode: () => expandCodes(coded) };
  },
});

const tables = ({ columns }: Shape): number => 4 * 256 * columns;

/**
 * What this repository offers. A method of a new function is one entry here: the setting for a ratio, and how to
 * compress.
 */
export const OURS: readonly OurMethod[] = [
  rows(8),
  rows(4),
  ...withBothTables(products('PQ', false), tables),
  ...withBothTables(products('OPQ', true), tables),
  ...withBothTables(residuals, tables),
  groupReduce,
  codes('our codes, default', undefined, { counts: true }),
  codes(AIMED.neighbours, 'neighbours', { counts: true }),
  codes(AIMED.counts, 'counts', { counts: true }),
  codes('our codes, uniform', 'uniform', {}),
  codes('our codes, without counts', undefined, {}),
];
