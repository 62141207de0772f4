import type { MatrixShape, StorageConfig } from '@espalier/compression';
import { parseOptions } from '@espalier/core';
import { z } from 'zod';
import type { CodeFormat } from '../maths/decode.js';
import { granularity, computeGrouping } from '../maths/granularity.js';
import { NF4_LEVELS, uniformLevels } from '../maths/levels.js';
import { BITS, packedLength } from '../maths/packing.js';

export const bits = z.literal([...BITS]);
export const scheme = z.enum(['symmetric', 'asymmetric']);

/** `scale · level (+ offset)` with equally spaced levels. */
export const uniformConfig = z.strictObject({
  kind: z.literal('uniform'),
  bits,
  scheme,
  granularity,
});

/** A table of 2^bits entries for the whole matrix, or for each `columns` neighbouring columns. */
export const codebookConfig = z.strictObject({
  kind: z.literal('codebook'),
  bits,
  columns: z.int().positive().optional(),
});

/** `scale · level` with the levels of 4-bit NormalFloat. */
export const nf4Config = z.strictObject({ kind: z.literal('nf4'), granularity });

/** The kind of {@link FakeConfig}. */
export const FAKE_KIND = 'fake-uniform';

/** Float32 numbers in training that are used as uniform symmetric codes would be. */
export const fakeConfig = z.strictObject({
  kind: z.literal(FAKE_KIND),
  bits,
  granularity,
  step: z.enum(['learned', 'fixed']),
});

/** How a matrix is kept in quantization-aware training. */
export type FakeConfig = z.output<typeof fakeConfig>;

const codeConfig = z.discriminatedUnion('kind', [uniformConfig, codebookConfig, nf4Config]);

/** How a matrix is kept in codes: plain JSON, a `StorageConfig`. */
export type CodeConfig = z.output<typeof codeConfig>;

/** The kinds of {@link CodeConfig}. */
export const CODE_KINDS = ['uniform', 'codebook', 'nf4'] as const;

/** A weight that holds a part of the matrix; its name is the matrix's and this suffix. */
export type CodePart = 'codes' | 'scale' | 'offset' | 'codebook';

/** A storage of codes for one shape of matrix. */
export interface CodeLayout {
  readonly config: CodeConfig;
  readonly format: CodeFormat;
  /** Lengths of the parts. */
  readonly parts: Readonly<Partial<Record<CodePart, number>>>;
  /** What codes stand for before scale and offset; absent where the part `codebook` says it. */
  readonly levels?: Float32Array;
}

/**
 * What follows from a configuration and a shape.
 *
 * @throws EspalierError `options/invalid` for what is no such configuration.
 */
export function computeCodeLayout(given: StorageConfig, shape: MatrixShape): CodeLayout {
  const config = parseOptions('storage', codeConfig, given);
  const [rows, columns] = shape;
  const common = config.kind === 'nf4' ? { ...config, bits: 4 as const } : config;
  const grouping =
    common.kind === 'codebook'
      ? codebookGrouping(common.columns, shape)
      : computeGrouping(common.granularity, shape);
  const { count } = grouping;
  const format = { bits: common.bits, rows, columns, grouping };
  const codes = packedLength(common.bits, rows * columns);
  switch (common.kind) {
    case 'codebook':
      return { config, format, parts: { codes, codebook: count * 2 ** common.bits } };
    case 'nf4':
      return { config, format, parts: { codes, scale: count }, levels: NF4_LEVELS };
    case 'uniform': {
      const levels = uniformLevels(common.bits, common.scheme);
      const offset = common.scheme === 'asymmetric' && { offset: count };
      return { config, format, parts: { codes, scale: count, ...offset }, levels };
    }
  }
}

function codebookGrouping(given: number | undefined, [, columns]: MatrixShape) {
  const length = given ?? columns;
  return { length, perRow: 0, count: Math.ceil(columns / length) };
}
